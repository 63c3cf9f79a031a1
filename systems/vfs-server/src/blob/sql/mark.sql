INSERT INTO vfs_blob_marks (blob_id, mark, owner_id, marked_at)
VALUES ($1, $2, $3, now())
ON CONFLICT (blob_id) DO UPDATE SET mark = $2, owner_id = $3, marked_at = now()
