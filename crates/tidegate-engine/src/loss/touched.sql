-- Tables of the database with what this transaction has deleted or changed in them, the file that holds their rows,
-- and how many columns they have.
SELECT c.oid, c.relfilenode, coalesce(s.n_tup_upd + s.n_tup_del, 0)::int8 AS changed,
    (SELECT count(*) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stat_xact_user_tables s ON s.relid = c.oid
WHERE c.relkind = 'r' AND n.nspname <> 'tidegate' AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
  AND c.oid IS DISTINCT FROM to_regclass($1)
