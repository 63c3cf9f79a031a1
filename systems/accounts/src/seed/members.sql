-- One owner each; a second member in every fifth account, of another role in some and deleted in some.
INSERT INTO platform_workspace_members (id, workspace_id, user_id, role, status, created_at, updated_at)
SELECT 'member_' || md5('owner' || i), 'ws_' || md5('ws' || i), 'user_' || md5('user' || i), 'owner', 'active', at, at
FROM generate_series(1, $1) AS i, LATERAL (SELECT timestamptz '2024-01-01 00:00:00Z' + i * interval '37 seconds') AS t (at)
UNION ALL
SELECT 'member_' || md5('member' || i), 'ws_' || md5('ws' || i), 'user_' || md5('user' || i / 2),
       CASE WHEN i % 55 = 0 THEN 'editor' ELSE 'member' END, CASE WHEN i % 50 = 0 THEN 'deleted' ELSE 'active' END,
       timestamptz '2025-01-01 00:00:00Z' + i * interval '11 seconds', timestamptz '2025-02-01 00:00:00Z'
FROM generate_series(1, $1) AS i
WHERE i % 5 = 0
ON CONFLICT DO NOTHING
