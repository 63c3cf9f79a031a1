-- $1: pid; $2: when its backend started, in microseconds since 1970 (NULL: not known). A pid that has been given to
-- another backend since is left alone.
SELECT pg_catalog.pg_terminate_backend(a.pid)
FROM pg_catalog.pg_stat_activity AS a
WHERE a.pid = $1
  AND a.datname = pg_catalog.current_database()
  AND a.pid <> pg_catalog.pg_backend_pid()
  AND COALESCE(a.backend_type, 'client backend') = 'client backend'
  AND ($2 IS NULL OR (pg_catalog.date_part('epoch', a.backend_start) * 1000000)::pg_catalog.int8 = $2)
