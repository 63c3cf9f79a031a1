SELECT blob_id, owner_id, marked_at
FROM vfs_blob_marks
WHERE mark = 'deleting' AND marked_at < now() - make_interval(secs => $1)
ORDER BY blob_id COLLATE "C"
LIMIT $2
