INSERT INTO sessions (id, user_id, created_at, expires_at)
SELECT $1, u.id, clock_timestamp(), clock_timestamp() + make_interval(secs => $3)
FROM users u
WHERE u.id = $2
RETURNING floor(extract(epoch FROM expires_at))::bigint
