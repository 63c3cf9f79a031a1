SELECT a.pid::pg_catalog.text,
       a.usename::pg_catalog.text,
       a.application_name,
       a.datname::pg_catalog.text,
       pg_catalog.host(a.client_addr),
       a.state,
       a.wait_event_type,
       a.wait_event,
       pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - a.state_change)::pg_catalog.text,
       pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - a.xact_start)::pg_catalog.text,
       (pg_catalog.date_part('epoch', a.backend_start) * 1000000)::pg_catalog.int8::pg_catalog.text,
       pg_catalog.left(a.query, 200)
FROM pg_catalog.pg_stat_activity AS a
WHERE a.datname = pg_catalog.current_database()
  AND a.pid <> pg_catalog.pg_backend_pid()
  AND COALESCE(a.backend_type, 'client backend') = 'client backend'
ORDER BY a.pid
