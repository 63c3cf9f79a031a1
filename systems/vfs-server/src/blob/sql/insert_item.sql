INSERT INTO vfs_registry (id, object_type, owner_id, created_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO NOTHING
