SELECT parent_id, child_id, visible_children ->> 'relationKind'
FROM vfs_links
WHERE wrapped_session_key LIKE 'blob-link:%'
