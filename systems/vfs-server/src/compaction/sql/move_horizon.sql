UPDATE vfs_crdt_horizon
SET at = CASE WHEN $1 > seq THEN clock_timestamp() ELSE at END, seq = greatest(seq, $1)
