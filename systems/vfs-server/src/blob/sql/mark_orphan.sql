INSERT INTO vfs_blob_marks (blob_id, mark, owner_id, marked_at)
VALUES ($1, 'deleting', NULL, now())
ON CONFLICT (blob_id) DO UPDATE SET mark = 'deleting', owner_id = NULL, marked_at = now()
WHERE vfs_blob_marks.mark = 'deleted'
   OR (vfs_blob_marks.mark = 'storing' AND vfs_blob_marks.marked_at < now() - make_interval(secs => $2))
