-- The active membership of a user in one workspace; the oldest of all where none is named.
SELECT m.id, w.id, w.name, m.role, w.created_at, w.updated_at
FROM platform_workspace_members m
JOIN platform_workspaces w ON w.id = m.workspace_id
WHERE m.user_id = $1 AND m.status = 'active' AND ($2 = '' OR m.workspace_id = $2)
ORDER BY m.created_at, m.id
LIMIT 1
