SELECT link.id, link.child_id, link.visible_children ->> 'expiresAt'
FROM vfs_links AS link
JOIN vfs_registry AS stage ON stage.id = link.id AND stage.object_type = 'blobStage'
WHERE link.parent_id = link.id
  AND link.wrapped_session_key = 'blob-stage:staged'
  AND link.id COLLATE "C" > $1
ORDER BY link.id COLLATE "C"
LIMIT $2
