-- What protected objects are, by catalog: name, shape, storage, guards. A row that changes or is gone was touched.
WITH wanted AS (
    SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE CASE WHEN $2::oid[] IS NOT NULL THEN c.oid = ANY ($2::oid[])
        ELSE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname <> 'tidegate'
            AND n.nspname || '.' || c.relname LIKE ANY ($1::text[]) END
), wanted_functions AS (
    SELECT p.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE CASE WHEN $2::oid[] IS NOT NULL THEN p.oid = ANY ($2::oid[])
        ELSE n.nspname <> 'tidegate' AND n.nspname || '.' || p.proname LIKE ANY ($1::text[]) END
)
SELECT c.oid, n.nspname || '.' || c.relname AS identity,
    pg_catalog.md5(concat_ws(E'\x01', n.nspname, c.relname, c.relkind, c.relowner, c.relfilenode, c.relrowsecurity,
        c.relforcerowsecurity, c.relacl::text, c.reloptions::text,
        (SELECT string_agg(concat_ws(E'\x02', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attacl::text,
            pg_catalog.pg_get_expr(d.adbin, d.adrelid)), E'\x03' ORDER BY a.attnum)
         FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
        (SELECT string_agg(k.conname || pg_catalog.pg_get_constraintdef(k.oid), E'\x03' ORDER BY k.conname)
         FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid),
        (SELECT string_agg(pg_catalog.pg_get_triggerdef(t.oid) || t.tgenabled::text, E'\x03' ORDER BY t.tgname)
         FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgname NOT LIKE 'tidegate\_seal%'),
        (SELECT string_agg(concat_ws(E'\x02', p.polname, p.polcmd, p.polpermissive, p.polroles::text,
            pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)), E'\x03' ORDER BY p.polname)
         FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid),
        (SELECT string_agg(pg_catalog.pg_get_indexdef(i.indexrelid) || i.indisvalid, E'\x03' ORDER BY i.indexrelid)
         FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid),
        CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END)) AS fingerprint
FROM wanted w JOIN pg_catalog.pg_class c ON c.oid = w.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
UNION ALL
SELECT p.oid, n.nspname || '.' || p.proname,
    pg_catalog.md5(concat_ws(E'\x01', n.nspname, p.proname, p.proowner, p.prosrc, p.proargtypes::text, p.prosecdef,
        p.proconfig::text, p.proacl::text, p.provolatile, p.prolang))
FROM wanted_functions w JOIN pg_catalog.pg_proc p ON p.oid = w.oid JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
ORDER BY 1
