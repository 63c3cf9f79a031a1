WITH head AS MATERIALIZED (
    SELECT * FROM vfs_feed_advance($2)
), appended AS (
    INSERT INTO vfs_crdt_ops (id, item_id, op_type, principal_type, principal_id, access_level, parent_id, child_id,
        actor_id, source_table, source_id, occurred_at, seq, client_op_id, replica_id, write_id)
    SELECT vfs_position_id(head.epoch, head.first_seq + op.n - 1), op.item_id, op.op_type, op.principal_type,
        op.principal_id, op.access_level, op.parent_id, CASE WHEN op.parent_id IS NOT NULL THEN op.item_id END,
        $1, 'vfs_crdt_client_push', $1 || ':' || op.replica || ':' || op.write_id || ':' || op.op_id, head.at,
        head.first_seq + op.n - 1, op.op_id, op.replica, op.write_id
    FROM head, unnest($3, $4, $5, $6, $7, $8, $9, $10, $11) WITH ORDINALITY
        AS op (replica, op_id, item_id, op_type, principal_type, principal_id, access_level, parent_id, write_id, n)
    RETURNING replica_id, write_id
), newest AS (
    INSERT INTO vfs_crdt_replica_heads AS h (actor_id, replica_id, max_write_id, updated_at)
    SELECT $1, replica_id, max(write_id), clock_timestamp() FROM appended GROUP BY replica_id
    ON CONFLICT (actor_id, replica_id) DO UPDATE
    SET max_write_id = greatest(h.max_write_id, EXCLUDED.max_write_id), updated_at = EXCLUDED.updated_at
)
SELECT head.epoch, (SELECT count(*) FROM appended) FROM head
