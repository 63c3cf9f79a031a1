SELECT l.parent_id, l.child_id, substr(l.wrapped_session_key, length('blob-link:') + 1), l.created_at
FROM vfs_links l
WHERE l.parent_id = ANY ($1) AND starts_with(l.wrapped_session_key, 'blob-link:')
ORDER BY l.parent_id COLLATE "C", l.created_at DESC, l.child_id COLLATE "C"
LIMIT $2
