INSERT INTO vfs_instances AS i
    (instance, version, highest_migration_known, freeze_epoch_seen, feed_epoch_seen, seen_at,
     missing_table_errors)
SELECT $1, $2, $3, f.epoch, h.epoch, clock_timestamp(), $4
FROM vfs_freeze f, vfs_feed_head h
ON CONFLICT (instance) DO UPDATE SET
    version = EXCLUDED.version,
    highest_migration_known = EXCLUDED.highest_migration_known,
    freeze_epoch_seen = EXCLUDED.freeze_epoch_seen,
    feed_epoch_seen = EXCLUDED.feed_epoch_seen,
    seen_at = EXCLUDED.seen_at,
    missing_table_errors = EXCLUDED.missing_table_errors
RETURNING freeze_epoch_seen, feed_epoch_seen, (SELECT h.seq FROM vfs_feed_head h)
