INSERT INTO vfs_registry (id, object_type, owner_id, encrypted_session_key, public_hierarchical_key,
    encrypted_private_hierarchical_key, metadata, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, date_trunc('milliseconds', clock_timestamp()))
ON CONFLICT (id) DO NOTHING
RETURNING created_at
