-- The person that a profile and a key are bound to, deleted or not.
SELECT id, account_id, display_name, avatar_public_id, user_key, status, profile_id, identity_public_key, identity_key_fingerprint, created_at, updated_at
FROM identities
WHERE account_id = $1 AND profile_id = $2 AND identity_key_fingerprint = $3
ORDER BY (status = 'active') DESC, created_at, id
LIMIT 1
