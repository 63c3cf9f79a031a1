INSERT INTO auth_credentials (user_id, email, name, password_hash)
SELECT 'user_' || md5('user' || i), 'user' || i || '@example.org', 'User ' || i, $2
FROM generate_series(1, $1) AS i
ON CONFLICT DO NOTHING
