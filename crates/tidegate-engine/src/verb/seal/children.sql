-- Partitions and inheritance children of a table, at every depth.
WITH RECURSIVE children AS (
    SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = $1
    UNION
    SELECT i.inhrelid FROM children c JOIN pg_catalog.pg_inherits i ON i.inhparent = c.inhrelid
)
SELECT c.oid, n.nspname, c.relname
FROM children h JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p')
ORDER BY 2, 3
