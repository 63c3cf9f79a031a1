UPDATE vfs_links
SET wrapped_session_key = $2, visible_children = coalesce(visible_children, '{}') || $3
WHERE id = $1 AND parent_id = $1 AND wrapped_session_key = 'blob-stage:staged'
