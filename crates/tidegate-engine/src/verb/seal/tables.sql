SELECT c.oid, n.nspname, c.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'tidegate') AND n.nspname NOT LIKE 'pg\_%'
  AND (n.nspname || '.' || c.relname LIKE $1 OR $2 AND c.relname LIKE $3 AND pg_catalog.pg_table_is_visible(c.oid))
ORDER BY 2, 3
