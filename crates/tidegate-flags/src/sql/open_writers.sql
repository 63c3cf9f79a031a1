SELECT l.pid,
       COALESCE(a.application_name, ''),
       (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - a.xact_start) * 1000)::pg_catalog.int8,
       l.granted
FROM pg_catalog.pg_locks AS l
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory'
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
  AND l.objsubid = 1
  AND ((l.classid::pg_catalog.int8 << 32) | l.objid::pg_catalog.int8) = tidegate.flag_lock($1)
  AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
ORDER BY l.granted DESC, a.xact_start NULLS FIRST, l.pid
LIMIT 100
