WITH ours AS (
    SELECT n.oid, n.nspname FROM pg_catalog.pg_namespace n
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'tidegate') AND n.nspname NOT LIKE 'pg\_%'
)
SELECT 'schema ' || o.nspname FROM ours o WHERE o.nspname <> 'public'
UNION ALL
SELECT 'relation ' || c.oid::regclass::text FROM pg_catalog.pg_class c JOIN ours o ON o.oid = c.relnamespace
UNION ALL
SELECT 'function ' || p.oid::regprocedure::text FROM pg_catalog.pg_proc p JOIN ours o ON o.oid = p.pronamespace
UNION ALL
SELECT 'type ' || t.oid::regtype::text FROM pg_catalog.pg_type t JOIN ours o ON o.oid = t.typnamespace
UNION ALL
SELECT 'large object ' || m.oid::text FROM pg_catalog.pg_largeobject_metadata m
