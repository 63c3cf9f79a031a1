-- One person of a account, deleted or not.
SELECT id, account_id, display_name, avatar_public_id, user_key, status, profile_id, identity_public_key, identity_key_fingerprint, created_at, updated_at
FROM identities
WHERE account_id = $1 AND id = $2
