SELECT d.datname::text, d.datconnlimit
FROM pg_catalog.pg_database d
WHERE d.datname = pg_catalog.current_database()
  AND pg_catalog.pg_has_role('pg_database_owner', 'USAGE')
  AND NOT pg_catalog.pg_has_role('pg_database_owner', 'MEMBER')
