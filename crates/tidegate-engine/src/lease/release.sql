UPDATE tidegate.lease
SET holder = NULL, host = NULL, boot = NULL, pid = NULL, pid_started = NULL, heartbeat_at = NULL, expires_at = NULL
WHERE id AND epoch = $1
