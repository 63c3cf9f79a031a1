INSERT INTO identities
  (id, account_id, display_name, avatar_public_id, user_key, profile_id, identity_public_key, identity_key_fingerprint)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
