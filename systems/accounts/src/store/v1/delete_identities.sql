UPDATE platform_managed_users SET status = 'deleted', updated_at = clock_timestamp()
WHERE id = ANY ($1) AND status <> 'deleted'
