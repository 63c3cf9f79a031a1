WITH ours AS (
    SELECT n.oid, n.nspowner FROM pg_catalog.pg_namespace n
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'tidegate') AND n.nspname NOT LIKE 'pg\_%'
), owners (oid) AS (
    SELECT s.refobjid FROM pg_catalog.pg_shdepend s
    WHERE s.dbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
      AND s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND s.deptype = 'o'
    -- The first superuser is recorded nowhere but at the objects themselves. Members of extensions come with those.
    UNION
    SELECT o.nspowner FROM ours o
    UNION
    SELECT c.relowner FROM pg_catalog.pg_class c JOIN ours o ON o.oid = c.relnamespace
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
    UNION
    SELECT p.proowner FROM pg_catalog.pg_proc p JOIN ours o ON o.oid = p.pronamespace
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')
    UNION
    SELECT t.typowner FROM pg_catalog.pg_type t JOIN ours o ON o.oid = t.typnamespace
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid AND d.deptype IN ('e', 'i'))
)
SELECT r.rolname::text
FROM owners o JOIN pg_catalog.pg_roles r ON r.oid = o.oid
WHERE NOT pg_catalog.pg_has_role(r.oid, 'USAGE') AND NOT pg_catalog.pg_has_role(r.oid, 'MEMBER')
ORDER BY 1
