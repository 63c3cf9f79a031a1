SELECT item.id, item.owner_id, item.created_at,
       (SELECT count(*) FROM vfs_links AS link
        WHERE link.child_id = item.id AND link.wrapped_session_key LIKE 'blob-link:%')
FROM vfs_registry AS item
WHERE item.object_type = 'blob'
  AND item.created_at < now() - make_interval(secs => $1)
  AND NOT EXISTS (SELECT FROM blob_listing AS listed WHERE listed.id = item.id)
  AND NOT EXISTS (SELECT FROM vfs_blob_marks AS mark WHERE mark.blob_id = item.id AND mark.mark = 'deleting')
ORDER BY item.id COLLATE "C"
LIMIT $2
