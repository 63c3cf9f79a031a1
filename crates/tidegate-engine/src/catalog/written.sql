-- What this transaction has written into the catalog, new or changed, by name: the same objects as objects.sql lists, and
-- how many columns each table ever had. At least one row: beside them stands the transaction below which all had ended.
-- The age of a row is 0 if this transaction wrote it and less if one of its savepoints did. Others whose age is not above
-- 0 (written by a transaction that began later, or so old that it looks new) are told by the look before.
WITH outside AS (
    SELECT oid FROM pg_catalog.pg_namespace
    WHERE nspname ~ '^pg_' OR nspname IN ('information_schema', 'tidegate')
), written AS (
    SELECT 'pg_class'::regclass AS class, c.oid, CASE WHEN c.relkind IN ('r', 'p', 'f') THEN c.relnatts END AS width
    FROM pg_catalog.pg_class c
    WHERE pg_catalog.age(c.xmin) <= 0 AND c.oid >= 16384 AND c.relkind <> 't' AND c.relnamespace NOT IN (TABLE outside)
    UNION ALL
    SELECT 'pg_proc'::regclass, p.oid, NULL FROM pg_catalog.pg_proc p
    WHERE pg_catalog.age(p.xmin) <= 0 AND p.oid >= 16384 AND p.pronamespace NOT IN (TABLE outside)
    UNION ALL
    SELECT 'pg_type'::regclass, t.oid, NULL FROM pg_catalog.pg_type t
    WHERE pg_catalog.age(t.xmin) <= 0 AND t.oid >= 16384 AND t.typnamespace NOT IN (TABLE outside)
      AND t.typtype IN ('d', 'e', 'r', 'b') AND t.typelem = 0
    UNION ALL
    SELECT 'pg_namespace'::regclass, n.oid, NULL FROM pg_catalog.pg_namespace n
    WHERE pg_catalog.age(n.xmin) <= 0 AND n.oid >= 16384 AND n.oid NOT IN (TABLE outside)
    UNION ALL
    SELECT 'pg_trigger'::regclass, t.oid, NULL FROM pg_catalog.pg_trigger t
    JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
    WHERE pg_catalog.age(t.xmin) <= 0 AND t.oid >= 16384 AND NOT t.tgisinternal AND c.relnamespace NOT IN (TABLE outside)
    UNION ALL
    SELECT 'pg_policy'::regclass, p.oid, NULL FROM pg_catalog.pg_policy p
    WHERE pg_catalog.age(p.xmin) <= 0 AND p.oid >= 16384
    UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid, NULL FROM pg_catalog.pg_constraint k
    WHERE pg_catalog.age(k.xmin) <= 0 AND k.oid >= 16384 AND k.connamespace NOT IN (TABLE outside)
    UNION ALL
    SELECT 'pg_extension'::regclass, e.oid, NULL FROM pg_catalog.pg_extension e
    WHERE pg_catalog.age(e.xmin) <= 0 AND e.oid >= 16384
    UNION ALL
    SELECT 'pg_event_trigger'::regclass, e.oid, NULL FROM pg_catalog.pg_event_trigger e
    WHERE pg_catalog.age(e.xmin) <= 0 AND e.oid >= 16384
)
SELECT w.class::oid::int8 AS class, w.class::text AS catalog, w.oid, w.width::int4 AS width, i.type AS kind, i.identity,
       s.ended_below
FROM (SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::int8 AS ended_below) AS s
LEFT JOIN written AS w ON true
LEFT JOIN LATERAL pg_catalog.pg_identify_object(w.class, w.oid, 0) AS i ON true
ORDER BY 2, 6
