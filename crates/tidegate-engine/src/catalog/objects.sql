-- Every object that is not the system's, a temporary one or ours, as (catalog row << 16); columns apart. And two lines beside them.
WITH outside AS (
    SELECT oid FROM pg_catalog.pg_namespace
    WHERE nspname ~ '^pg_' OR nspname IN ('information_schema', 'tidegate')
)
SELECT 'pg_class'::regclass::oid::int8, array_agg(c.oid::int8 << 16) FROM pg_catalog.pg_class c
WHERE c.oid >= 16384 AND c.relkind <> 't' AND c.relnamespace NOT IN (TABLE outside)
UNION ALL
-- How many columns each table ever had: a new one is one more.
SELECT -2, array_agg((c.oid::int8 << 16) + c.relnatts) FROM pg_catalog.pg_class c
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'f') AND c.relnamespace NOT IN (TABLE outside)
UNION ALL
-- The transaction below which all had ended, in the very snapshot of this look.
SELECT -3, ARRAY[pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::int8]
UNION ALL
SELECT 'pg_proc'::regclass::oid::int8, array_agg(p.oid::int8 << 16) FROM pg_catalog.pg_proc p
WHERE p.oid >= 16384 AND p.pronamespace NOT IN (TABLE outside)
UNION ALL
SELECT 'pg_type'::regclass::oid::int8, array_agg(t.oid::int8 << 16) FROM pg_catalog.pg_type t
WHERE t.oid >= 16384 AND t.typnamespace NOT IN (TABLE outside) AND t.typtype IN ('d', 'e', 'r', 'b') AND t.typelem = 0
UNION ALL
SELECT 'pg_namespace'::regclass::oid::int8, array_agg(n.oid::int8 << 16) FROM pg_catalog.pg_namespace n
WHERE n.oid >= 16384 AND n.oid NOT IN (TABLE outside)
UNION ALL
SELECT 'pg_trigger'::regclass::oid::int8, array_agg(t.oid::int8 << 16) FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
WHERE t.oid >= 16384 AND NOT t.tgisinternal AND c.relnamespace NOT IN (TABLE outside)
UNION ALL
SELECT 'pg_policy'::regclass::oid::int8, array_agg(p.oid::int8 << 16) FROM pg_catalog.pg_policy p WHERE p.oid >= 16384
UNION ALL
SELECT 'pg_constraint'::regclass::oid::int8, array_agg(k.oid::int8 << 16) FROM pg_catalog.pg_constraint k
WHERE k.oid >= 16384 AND k.connamespace NOT IN (TABLE outside)
UNION ALL
SELECT 'pg_extension'::regclass::oid::int8, array_agg(e.oid::int8 << 16) FROM pg_catalog.pg_extension e WHERE e.oid >= 16384
UNION ALL
SELECT 'pg_event_trigger'::regclass::oid::int8, array_agg(e.oid::int8 << 16) FROM pg_catalog.pg_event_trigger e WHERE e.oid >= 16384
