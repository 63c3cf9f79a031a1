SELECT 1, r.id, 0::bigint FROM vfs_registry r WHERE r.id COLLATE "C" = ANY ($2) AND r.owner_id = $1
UNION ALL
-- Not looked for where all of a push is newer than what its replica has pushed: one condition, ahead of all rows.
SELECT 2, o.client_op_id, 0 FROM vfs_crdt_ops o
WHERE o.actor_id COLLATE "C" = $1 AND o.client_op_id COLLATE "C" = ANY ($3)
  AND $5 <= coalesce((SELECT h.max_write_id FROM vfs_crdt_replica_heads h
                      WHERE h.actor_id = $1 AND h.replica_id = $4), 0)
UNION ALL
SELECT 2, f.client_op_id, 0 FROM vfs_crdt_forgotten_ops f WHERE f.actor_id = $1 AND f.client_op_id = ANY ($3)
UNION ALL
SELECT 3, h.replica_id, h.max_write_id FROM vfs_crdt_replica_heads h WHERE h.actor_id = $1 AND h.replica_id = $4
UNION ALL
SELECT 4, '', h.epoch FROM vfs_feed_head h
