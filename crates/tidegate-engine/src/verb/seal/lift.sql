WITH lifted AS (
    DELETE FROM tidegate.seal WHERE run = $1 AND step = $2 RETURNING relation
)
SELECT n.nspname, c.relname
FROM lifted l JOIN pg_catalog.pg_class c ON c.oid = l.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
ORDER BY 1, 2
