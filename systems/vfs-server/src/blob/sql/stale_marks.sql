SELECT mark.blob_id, mark.mark
FROM vfs_blob_marks AS mark
WHERE (mark.mark = 'deleted' AND mark.marked_at < now() - make_interval(secs => $1))
   OR (mark.mark = 'storing' AND mark.marked_at < now() - make_interval(secs => $2))
ORDER BY mark.blob_id COLLATE "C"
LIMIT $3
