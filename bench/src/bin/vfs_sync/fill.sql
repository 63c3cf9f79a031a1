WITH head AS MATERIALIZED (SELECT * FROM vfs_feed_advance($1))
INSERT INTO vfs_crdt_ops (id, item_id, op_type, parent_id, child_id, actor_id, source_table, source_id, occurred_at,
seq, client_op_id, replica_id, write_id)
SELECT vfs_position_id(head.epoch, head.first_seq + n - 1), 'item', 'link_add', 'folder', 'item', 'bench',
'vfs_crdt_client_push', 'bench:fill:' || (head.first_seq + n) || ':fill-' || (head.first_seq + n), head.at,
head.first_seq + n - 1, 'fill-' || (head.first_seq + n), 'fill', head.first_seq + n
FROM head, generate_series(1, $1) AS n
