-- Which of these names there are: functions with their schemas, types (which can be called as functions), roles, schemas.
SELECT 'function' AS kind, n.nspname AS schema, p.proname AS name
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.proname = ANY ($1)
UNION SELECT 'function', n.nspname, t.typname
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.typname = ANY ($1)
UNION SELECT 'role', NULL, r.rolname FROM pg_catalog.pg_roles r WHERE r.rolname = ANY ($1)
UNION SELECT 'schema', NULL, n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname = ANY ($1)
