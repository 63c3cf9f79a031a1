-- Everybody in a workspace who is not deleted, oldest first.
SELECT id, workspace_id, display_name, avatar_public_id, user_key, status, profile_id, identity_public_key, identity_key_fingerprint, created_at, updated_at
FROM platform_managed_users
WHERE workspace_id = $1 AND status <> 'deleted'
ORDER BY created_at, id
