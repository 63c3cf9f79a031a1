SELECT id FROM platform_managed_users WHERE workspace_id = $1 AND status <> 'deleted' ORDER BY id
