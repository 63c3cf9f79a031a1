-- Rows by their ids, as they are in identities; what is not there goes. Deleted rows come first: they make room.
WITH gone AS (
  DELETE FROM platform_managed_users WHERE id = ANY ($1) AND id NOT IN (SELECT id FROM identities WHERE id = ANY ($1))
)
INSERT INTO platform_managed_users AS kept
  (id, workspace_id, display_name, avatar_public_id, user_key, profile_id, identity_public_key,
   identity_key_fingerprint, status, created_at, updated_at)
SELECT id, account_id, display_name, avatar_public_id, user_key, profile_id, identity_public_key,
       identity_key_fingerprint, status, created_at, updated_at
FROM identities
WHERE id = ANY ($1)
ORDER BY (status <> 'deleted'), id
ON CONFLICT (id) DO UPDATE SET
  workspace_id = excluded.workspace_id, display_name = excluded.display_name,
  avatar_public_id = excluded.avatar_public_id, user_key = excluded.user_key, profile_id = excluded.profile_id,
  identity_public_key = excluded.identity_public_key,
  identity_key_fingerprint = excluded.identity_key_fingerprint, status = excluded.status,
  created_at = excluded.created_at, updated_at = excluded.updated_at
WHERE (kept.workspace_id, kept.display_name, kept.avatar_public_id, kept.user_key, kept.profile_id,
       kept.identity_public_key, kept.identity_key_fingerprint, kept.status, kept.created_at, kept.updated_at)
      IS DISTINCT FROM
      (excluded.workspace_id, excluded.display_name, excluded.avatar_public_id, excluded.user_key,
       excluded.profile_id, excluded.identity_public_key, excluded.identity_key_fingerprint, excluded.status,
       excluded.created_at, excluded.updated_at)
