UPDATE tidegate.lease
SET heartbeat_at = clock_timestamp(), expires_at = clock_timestamp() + make_interval(secs => $2)
WHERE id AND epoch = $1
