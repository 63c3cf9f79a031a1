SELECT h.epoch, h.seq, h.at, z.seq,
       (SELECT e.began_after_seq FROM vfs_feed_epochs e WHERE e.epoch > $1 ORDER BY e.epoch LIMIT 1)
FROM vfs_feed_head h, vfs_crdt_horizon z
