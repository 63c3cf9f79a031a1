-- Whether row security hides rows of a table from a role, or from the current one where that is NULL.
SELECT c.relrowsecurity AND NOT r.rolsuper AND NOT r.rolbypassrls
    AND (c.relforcerowsecurity OR NOT pg_catalog.pg_has_role(r.oid, c.relowner, 'USAGE'))
FROM pg_catalog.pg_class c, pg_catalog.pg_roles r
WHERE c.oid = $1::text::regclass AND r.rolname = coalesce($2, current_user)
