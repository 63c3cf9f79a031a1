INSERT INTO platform_workspaces (id, name) VALUES ($1, $2)
