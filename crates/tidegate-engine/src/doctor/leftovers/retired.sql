-- Tables in the schema of retired ones, with their size in bytes.
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.pg_total_relation_size(c.oid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'tidegate_retired' AND c.relkind IN ('r', 'p')
ORDER BY 1
