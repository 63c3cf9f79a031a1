SELECT max(seq)
FROM (
    SELECT o.seq
    FROM vfs_crdt_ops o
    WHERE o.occurred_at < $1 AND o.seq > (SELECT z.seq FROM vfs_crdt_horizon z)
    ORDER BY o.seq
    LIMIT $2
) AS old
