-- One person of a workspace, deleted or not.
SELECT id, workspace_id, display_name, avatar_public_id, user_key, status, profile_id, identity_public_key, identity_key_fingerprint, created_at, updated_at
FROM platform_managed_users
WHERE workspace_id = $1 AND id = $2
