-- A transaction that began before the set's declaration was certainly committed may have looked for the set, found
-- none, and gone on to write. Others' start is hidden from a role without pg_read_all_stats, but not that they are in
-- a transaction: that holds a lock on its own virtual id. The server's own workers have no role.
WITH horizon AS (
    SELECT COALESCE(settled_at, pg_catalog.clock_timestamp()) AS at FROM tidegate.flag_set WHERE name = $1
)
SELECT a.pid,
       COALESCE(a.application_name, ''),
       a.usename::pg_catalog.text,
       (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - a.xact_start) * 1000)::pg_catalog.int8
FROM pg_catalog.pg_stat_activity AS a
CROSS JOIN horizon
WHERE a.datname = pg_catalog.current_database()
  AND a.pid <> pg_catalog.pg_backend_pid()
  AND COALESCE(a.backend_type, 'client backend') = 'client backend'
  AND CASE
          WHEN a.query = '<insufficient privilege>' AND a.backend_type IS NULL THEN a.usesysid IS NOT NULL AND EXISTS (
              SELECT FROM pg_catalog.pg_locks AS l WHERE l.pid = a.pid AND l.locktype = 'virtualxid')
          ELSE a.xact_start <= horizon.at
      END
UNION ALL
SELECT NULL, p.gid, p.owner::pg_catalog.text, NULL
FROM pg_catalog.pg_prepared_xacts AS p
WHERE p.database = pg_catalog.current_database()
ORDER BY 4 DESC NULLS FIRST, 1
LIMIT 100
