UPDATE tidegate.lease
SET epoch = epoch + 1, holder = $2, host = $3, boot = $4, pid = $5, pid_started = $6,
    acquired_at = clock_timestamp(), heartbeat_at = clock_timestamp(),
    expires_at = clock_timestamp() + make_interval(secs => $7)
WHERE id AND epoch = $1 AND (expires_at IS NULL OR expires_at <= clock_timestamp() OR $8)
RETURNING epoch
