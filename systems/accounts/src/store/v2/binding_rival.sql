-- Somebody else in the account for whom a binding is taken: an active person with the key, or anybody with the
-- profile and the key.
SELECT id FROM identities
WHERE account_id = $1 AND id <> $2 AND identity_key_fingerprint = $4
  AND (status <> 'deleted' OR profile_id = $3)
LIMIT 1
