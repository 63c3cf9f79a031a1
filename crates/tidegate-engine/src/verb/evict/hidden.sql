-- Sessions of this database that match as far as can be seen, and of which this role may not see state and kind.
SELECT count(*)
FROM pg_catalog.pg_stat_activity a
WHERE a.datname = current_database()
  AND a.pid <> pg_catalog.pg_backend_pid()
  AND a.backend_type IS NULL
  AND a.application_name NOT LIKE 'tidegate/%'
  AND ($1::text[] IS NULL OR a.usename = ANY ($1::text[]))
  AND ($2::text[] IS NULL OR a.application_name = ANY ($2::text[]))
