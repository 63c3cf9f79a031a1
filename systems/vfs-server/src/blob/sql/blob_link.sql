SELECT id, wrapped_session_key, visible_children ->> 'relationKind', created_at
FROM vfs_links
WHERE parent_id = $1 AND child_id = $2
