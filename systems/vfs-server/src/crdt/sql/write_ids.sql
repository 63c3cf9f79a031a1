SELECT replica_id, max_write_id
FROM vfs_crdt_replica_heads
WHERE actor_id = $1
ORDER BY coalesce(replica_id = $2, false) DESC, updated_at DESC, replica_id COLLATE "C"
LIMIT $3
