SELECT instance, version, highest_migration_known, freeze_epoch_seen, feed_epoch_seen,
       floor(extract(epoch FROM clock_timestamp() - seen_at) * 1000)::bigint
FROM vfs_instances
ORDER BY instance COLLATE "C"
