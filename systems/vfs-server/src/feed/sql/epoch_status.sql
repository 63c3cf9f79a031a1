SELECT h.epoch, h.seq, to_char(h.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), z.seq,
       coalesce((SELECT e.reason FROM vfs_feed_epochs e WHERE e.epoch = h.epoch), '')
FROM vfs_feed_head h, vfs_crdt_horizon z
