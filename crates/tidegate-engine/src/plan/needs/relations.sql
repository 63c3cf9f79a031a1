-- One row for each relation of these names, with what the role $2, or whoever is connected, may do with it. Of a role that
-- is not there yet nothing is said.
SELECT n.nspname, c.relname, pg_catalog.pg_table_is_visible(c.oid) AS visible,
    coalesce(pg_catalog.has_table_privilege(r.oid, c.oid, 'SELECT') OR pg_catalog.has_any_column_privilege(r.oid, c.oid, 'SELECT'), true) AS may_select,
    coalesce(pg_catalog.has_table_privilege(r.oid, c.oid, 'INSERT') OR pg_catalog.has_any_column_privilege(r.oid, c.oid, 'INSERT'), true) AS may_insert,
    coalesce(pg_catalog.has_table_privilege(r.oid, c.oid, 'UPDATE') OR pg_catalog.has_any_column_privilege(r.oid, c.oid, 'UPDATE'), true) AS may_update,
    coalesce(pg_catalog.has_table_privilege(r.oid, c.oid, 'DELETE'), true) AS may_delete,
    coalesce(pg_catalog.has_table_privilege(r.oid, c.oid, 'TRIGGER'), true) AS may_trigger,
    coalesce(pg_catalog.pg_has_role(r.oid, c.relowner, 'USAGE'), true) AS may_own
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_roles r ON r.rolname = coalesce($2, current_user)
WHERE c.relname = ANY ($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
