INSERT INTO platform_workspaces (id, name, created_at, updated_at)
SELECT 'ws_' || md5('ws' || i), 'Account ' || i, at, at + (i % 97) * interval '1 hour'
FROM generate_series(1, $1) AS i, LATERAL (SELECT timestamptz '2024-01-01 00:00:00Z' + i * interval '37 seconds') AS t (at)
ON CONFLICT DO NOTHING
