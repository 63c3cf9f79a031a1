SELECT id, item_id, op_type, principal_type, principal_id, access_level, parent_id, child_id, actor_id, source_table,
source_id, occurred_at FROM vfs_crdt_ops WHERE (occurred_at, id COLLATE "C") > ($1, $2 COLLATE "C")
ORDER BY occurred_at, id COLLATE "C" LIMIT 501
