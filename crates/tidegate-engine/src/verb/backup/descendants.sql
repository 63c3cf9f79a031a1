WITH RECURSIVE named AS (
    SELECT t.oid FROM unnest($1::oid[]) AS t (oid)
    UNION
    SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN named n ON n.oid = i.inhparent
)
SELECT s.nspname, c.relname
FROM named n JOIN pg_catalog.pg_class c ON c.oid = n.oid JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
ORDER BY 1, 2
