SELECT t.relname::text,
       jsonb_agg(jsonb_build_object(
         'constraint_name', c.conname,
         'constraint_type', CASE c.contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' WHEN 'f' THEN 'FOREIGN KEY'
                                           WHEN 'c' THEN 'CHECK' WHEN 'n' THEN 'NOT NULL' ELSE c.contype::text END,
         'columns', (SELECT jsonb_agg(a.attname ORDER BY k.place)
                     FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, place)
                     JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum)) ORDER BY c.conname)
FROM pg_constraint c
JOIN pg_class t ON t.oid = c.conrelid
WHERE t.relnamespace = 'public'::regnamespace AND t.relname = ANY ($1)
GROUP BY t.relname
ORDER BY t.relname
