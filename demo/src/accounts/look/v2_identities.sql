SELECT profile_id, display_name
FROM identities
WHERE status <> 'deleted' AND profile_id LIKE 'demo-guest-%'
