SELECT epoch, holder, host, boot, pid, pid_started,
       extract(epoch FROM clock_timestamp() - acquired_at)::float8 AS age_seconds,
       extract(epoch FROM clock_timestamp() - heartbeat_at)::float8 AS silent_seconds,
       extract(epoch FROM expires_at - clock_timestamp())::float8 AS left_seconds
FROM tidegate.lease WHERE id
