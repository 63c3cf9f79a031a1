INSERT INTO vfs_blob_removals (blob_id, kind, actor, reason, removed_at)
VALUES ($1, $2, $3, $4, now())
