SELECT link.id
FROM vfs_links AS link
JOIN vfs_registry AS stage ON stage.id = link.id AND stage.object_type = 'blobStage'
WHERE link.child_id = $1 AND link.parent_id = link.id
