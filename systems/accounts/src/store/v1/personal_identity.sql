-- The person that a name, or a profile and a key, stand for: active before deleted, the binding before the name.
SELECT id, workspace_id, display_name, avatar_public_id, user_key, status, profile_id, identity_public_key, identity_key_fingerprint, created_at, updated_at
FROM platform_managed_users
WHERE workspace_id = $1
  AND (user_key = $2 OR (profile_id = $3 AND identity_key_fingerprint = $4))
ORDER BY (status = 'active') DESC,
         (profile_id IS NOT DISTINCT FROM $3 AND identity_key_fingerprint IS NOT DISTINCT FROM $4) DESC,
         created_at, id
LIMIT 1
