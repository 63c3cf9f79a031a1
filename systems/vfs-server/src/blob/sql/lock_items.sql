SELECT id, object_type, owner_id
FROM vfs_registry
WHERE id = ANY ($1)
ORDER BY id COLLATE "C"
FOR UPDATE
