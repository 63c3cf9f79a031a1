INSERT INTO vfs_links (id, parent_id, child_id, wrapped_session_key, visible_children, created_at)
VALUES ($1, $1, $2, $3, $4, $5)
