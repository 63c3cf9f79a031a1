UPDATE platform_managed_users
SET display_name = $2, avatar_public_id = $3, profile_id = $4, identity_public_key = $5, identity_key_fingerprint = $6,
    status = $7, updated_at = clock_timestamp()
WHERE id = $1
