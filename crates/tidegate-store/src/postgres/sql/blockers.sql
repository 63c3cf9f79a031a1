-- $1: the pid that waits. A pid of 0 among its blockers is a prepared transaction, which has no session.
SELECT b.pid::pg_catalog.text,
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
FROM (SELECT DISTINCT pg_catalog.unnest(pg_catalog.pg_blocking_pids($1)) AS pid) AS b
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = b.pid
ORDER BY b.pid
