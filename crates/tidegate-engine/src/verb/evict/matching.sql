-- Sessions of other clients of this database that match all that is given; NULL arrays mean any.
SELECT a.pid, coalesce(a.usename, '') AS role, coalesce(a.application_name, '') AS application, coalesce(a.state, '') AS state
FROM pg_catalog.pg_stat_activity a
WHERE a.datname = current_database()
  AND a.pid <> pg_catalog.pg_backend_pid()
  AND a.backend_type = 'client backend'
  AND a.application_name NOT LIKE 'tidegate/%'
  AND ($1::text[] IS NULL OR a.usename = ANY ($1::text[]))
  AND ($2::text[] IS NULL OR a.application_name = ANY ($2::text[]))
  AND ($3::text[] IS NULL OR a.state = ANY ($3::text[]))
  AND ($4::float8 IS NULL OR a.state_change < clock_timestamp() - make_interval(secs => $4))
ORDER BY a.pid
