SELECT h.epoch, h.seq, h.at, z.seq,
       (SELECT e.began_after_seq FROM vfs_feed_epochs e WHERE e.epoch > $1 ORDER BY e.epoch LIMIT 1),
       greatest((SELECT o.occurred_at FROM vfs_crdt_ops o WHERE o.seq <= $2 ORDER BY o.seq DESC LIMIT 1),
                (SELECT c.changed_at FROM vfs_sync_changes c WHERE c.seq <= $2 ORDER BY c.seq DESC LIMIT 1)),
       least((SELECT o.occurred_at FROM vfs_crdt_ops o WHERE o.seq >= $2 ORDER BY o.seq LIMIT 1),
             (SELECT c.changed_at FROM vfs_sync_changes c WHERE c.seq >= $2 ORDER BY c.seq LIMIT 1))
FROM vfs_feed_head h, vfs_crdt_horizon z
