INSERT INTO bare (id, item_id, op_type, parent_id, child_id, actor_id, source_table, source_id, occurred_at, seq,
client_op_id, replica_id, write_id)
SELECT vfs_position_id(1, $1 + n), 'item', 'link_add', 'folder', 'item', 'bench', 'vfs_crdt_client_push',
'bench:' || $2 || ':' || ($1 + n) || ':' || $2 || '-' || ($1 + n), date_trunc('milliseconds', clock_timestamp()),
$1 + n, $2 || '-' || ($1 + n), $2, $1 + n FROM generate_series(1, 100) AS n
