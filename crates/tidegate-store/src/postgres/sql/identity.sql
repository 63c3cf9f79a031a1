SELECT pg_catalog.current_database()::pg_catalog.text,
       pg_catalog.current_setting('server_version_num'),
       pg_catalog.pg_is_in_recovery()::pg_catalog.text,
       pg_catalog.host(pg_catalog.inet_server_addr()),
       pg_catalog.inet_server_port()::pg_catalog.text,
       pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')::pg_catalog.text,
       pg_catalog.has_function_privilege('pg_catalog.pg_control_checkpoint()', 'EXECUTE')::pg_catalog.text
