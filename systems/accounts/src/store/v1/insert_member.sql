INSERT INTO platform_workspace_members (id, workspace_id, user_id, role) VALUES ($1, $2, $3, $4)
