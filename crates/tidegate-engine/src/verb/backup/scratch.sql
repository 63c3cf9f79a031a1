SELECT r.rolsuper AS superuser,
       pg_catalog.pg_has_role(d.datdba, 'USAGE') AS owner,
       coalesce(pg_catalog.shobj_description(d.oid, 'pg_database'), '') AS comment,
       pg_catalog.to_regnamespace('tidegate') IS NOT NULL AS journal,
       coalesce(pg_catalog.obj_description(pg_catalog.to_regnamespace('tidegate_rehearsal'), 'pg_namespace'), '') AS mark,
       (SELECT pg_catalog.pg_describe_object(o.class, o.oid, 0)
        FROM (
            SELECT 'pg_catalog.pg_namespace'::regclass AS class, n.oid FROM pg_catalog.pg_namespace n
            WHERE n.oid >= 16384 AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'public'
            UNION ALL
            SELECT 'pg_catalog.pg_class'::regclass, c.oid FROM pg_catalog.pg_class c
            WHERE c.relnamespace = pg_catalog.to_regnamespace('public')
            UNION ALL
            SELECT 'pg_catalog.pg_proc'::regclass, p.oid FROM pg_catalog.pg_proc p
            WHERE p.pronamespace = pg_catalog.to_regnamespace('public')
            UNION ALL
            SELECT 'pg_catalog.pg_extension'::regclass, e.oid FROM pg_catalog.pg_extension e WHERE e.oid >= 16384
        ) AS o (class, oid)
        LIMIT 1) AS first
FROM pg_catalog.pg_database d, pg_catalog.pg_roles r
WHERE d.datname = pg_catalog.current_database() AND r.rolname = current_user
