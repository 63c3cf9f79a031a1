SELECT listed.id, listed.size_bytes, listed.modified_at
FROM blob_listing AS listed
WHERE listed.modified_at < now() - make_interval(secs => $1)
  AND NOT EXISTS (SELECT FROM vfs_registry AS item WHERE item.id = listed.id AND item.object_type = 'blob')
  AND NOT EXISTS (
    SELECT FROM vfs_blob_marks AS mark
    WHERE mark.blob_id = listed.id
      AND (mark.mark = 'deleting' OR mark.mark = 'storing' AND mark.marked_at >= now() - make_interval(secs => $1)))
ORDER BY listed.id COLLATE "C"
LIMIT $2
