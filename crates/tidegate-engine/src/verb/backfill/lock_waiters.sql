-- Sessions that wait for a lock which a worker of this step holds.
SELECT count(*)
FROM pg_catalog.pg_stat_activity w
WHERE w.wait_event_type = 'Lock' AND w.datname = current_database()
  AND NOT starts_with(w.application_name, 'tidegate/')
  AND EXISTS (
      SELECT FROM unnest(pg_catalog.pg_blocking_pids(w.pid)) AS b (pid)
      JOIN pg_catalog.pg_stat_activity h ON h.pid = b.pid
      WHERE starts_with(h.application_name, $1)
  )
