UPDATE platform_workspaces SET name = $2, updated_at = clock_timestamp() WHERE id = $1
