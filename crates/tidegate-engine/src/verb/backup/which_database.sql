SELECT d.oid::text || ' ' || d.datname || ' ' || extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
