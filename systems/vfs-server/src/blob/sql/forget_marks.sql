DELETE FROM vfs_blob_marks
WHERE blob_id = ANY ($1)
  AND ((mark = 'deleted' AND marked_at < now() - make_interval(secs => $2))
    OR (mark = 'storing' AND marked_at < now() - make_interval(secs => $3)))
