INSERT INTO auth_users (id, email, name, created_at, updated_at)
SELECT 'user_' || md5('user' || i), 'user' || i || '@example.org', 'User ' || i, at, at
FROM generate_series(1, $1) AS i, LATERAL (SELECT timestamptz '2024-01-01 00:00:00Z' + i * interval '37 seconds') AS t (at)
ON CONFLICT DO NOTHING
