WITH forgotten AS (
    DELETE FROM vfs_crdt_ops o
    WHERE o.seq > $1 AND o.seq <= $2
      AND EXISTS (
          SELECT FROM vfs_crdt_ops n
          WHERE n.item_id COLLATE "C" = o.item_id AND n.seq > o.seq
            AND (n.parent_id, n.principal_type, n.principal_id)
                IS NOT DISTINCT FROM (o.parent_id, o.principal_type, o.principal_id))
    RETURNING o.actor_id, o.client_op_id, o.seq
), remembered AS (
    INSERT INTO vfs_crdt_forgotten_ops (actor_id, client_op_id, seq)
    SELECT actor_id, client_op_id, seq FROM forgotten WHERE actor_id IS NOT NULL AND client_op_id IS NOT NULL
    ON CONFLICT DO NOTHING
)
SELECT count(*) FROM forgotten
