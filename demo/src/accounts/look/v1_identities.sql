SELECT profile_id, display_name
FROM platform_managed_users
WHERE status <> 'deleted' AND profile_id LIKE 'demo-guest-%'
