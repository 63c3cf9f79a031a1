INSERT INTO vfs_crdt_replica_heads (actor_id, replica_id, max_write_id, updated_at)
SELECT 'bench', 'fill', max(write_id), clock_timestamp() FROM vfs_crdt_ops WHERE replica_id = 'fill'
HAVING max(write_id) IS NOT NULL
ON CONFLICT (actor_id, replica_id) DO UPDATE SET max_write_id = EXCLUDED.max_write_id, updated_at = EXCLUDED.updated_at
