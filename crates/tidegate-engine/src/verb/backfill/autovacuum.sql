-- Those of the tables that are being vacuumed.
SELECT p.relid::regclass::text
FROM pg_catalog.pg_stat_progress_vacuum p
WHERE p.datname = current_database() AND p.relid = ANY (SELECT to_regclass(t) FROM unnest($1) AS t)
ORDER BY 1
LIMIT 1
