WITH found AS (
    SELECT 1 AS turn, 'EVENT TRIGGER' AS kind, e.evtname::text AS name, false AS written, e.evtowner AS owner, 'pg_catalog.pg_event_trigger'::regclass AS class, e.oid
    FROM pg_catalog.pg_event_trigger e
    UNION ALL
    SELECT 2, 'PUBLICATION', p.pubname, false, p.pubowner, 'pg_catalog.pg_publication'::regclass, p.oid
    FROM pg_catalog.pg_publication p
    UNION ALL
    SELECT 3, 'SUBSCRIPTION', s.subname, false, s.subowner, 'pg_catalog.pg_subscription'::regclass, s.oid
    FROM pg_catalog.pg_subscription s
    WHERE s.subdbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
    UNION ALL
    SELECT 4, 'EXTENSION', e.extname, false, e.extowner, 'pg_catalog.pg_extension'::regclass, e.oid
    FROM pg_catalog.pg_extension e
    UNION ALL
    SELECT 5, 'FOREIGN DATA WRAPPER', f.fdwname, false, f.fdwowner, 'pg_catalog.pg_foreign_data_wrapper'::regclass, f.oid
    FROM pg_catalog.pg_foreign_data_wrapper f
    UNION ALL
    SELECT 6, 'CAST', i.identity, true, t.typowner, 'pg_catalog.pg_cast'::regclass, c.oid
    FROM pg_catalog.pg_cast c
    JOIN pg_catalog.pg_type t ON t.oid = c.castsource
    CROSS JOIN LATERAL pg_catalog.pg_identify_object('pg_catalog.pg_cast'::regclass, c.oid, 0) AS i
    UNION ALL
    SELECT 7, 'SCHEMA', n.nspname, false, n.nspowner, 'pg_catalog.pg_namespace'::regclass, n.oid
    FROM pg_catalog.pg_namespace n
    WHERE n.nspname NOT IN ('information_schema', 'tidegate') AND n.nspname NOT LIKE 'pg\_%'
    UNION ALL
    SELECT 8, 'LANGUAGE', l.lanname, false, l.lanowner, 'pg_catalog.pg_language'::regclass, l.oid
    FROM pg_catalog.pg_language l
    UNION ALL
    SELECT 9, 'ACCESS METHOD', a.amname, false, 10, 'pg_catalog.pg_am'::regclass, a.oid
    FROM pg_catalog.pg_am a
)
-- Below 16384 are objects that every database begins with; schema public is one of them, and is made anew.
SELECT f.kind, f.name, f.written, pg_catalog.pg_get_userbyid(f.owner)::text,
       pg_catalog.pg_has_role(f.owner, 'USAGE') OR f.kind = 'CAST'
FROM found f
WHERE (f.oid >= 16384 OR f.kind = 'SCHEMA')
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = f.class AND d.objid = f.oid AND d.deptype = 'e')
ORDER BY f.turn, f.name
