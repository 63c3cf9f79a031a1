SELECT n.nspname, c.relname, a.attname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = $2 AND NOT a.attisdropped AND $2 > 0
WHERE c.oid = $1 AND c.relkind IN ('r', 'p')
