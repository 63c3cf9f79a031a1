-- One writer at a time in one workspace.
SELECT id FROM platform_workspaces WHERE id = $1 FOR UPDATE
