SELECT link.child_id, item.owner_id, link.wrapped_session_key, link.visible_children, link.created_at
FROM vfs_registry AS item
JOIN vfs_links AS link ON link.id = item.id AND link.parent_id = item.id
WHERE item.id = $1 AND item.object_type = 'blobStage'
