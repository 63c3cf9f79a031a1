-- Whether whoever migrates may make objects: in the schema of this name, or in the one where a bare name is made.
SELECT n.nspname, pg_catalog.has_schema_privilege(n.oid, 'CREATE') AS may_create
FROM pg_catalog.pg_namespace n WHERE n.nspname = coalesce($1, pg_catalog.current_schema())
