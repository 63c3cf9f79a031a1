SELECT a.id, a.item_id, a.principal_type, a.principal_id, coalesce(u.display_name, u.email, g.name, o.name),
       a.access_level, a.granted_by, a.created_at, a.expires_at
FROM vfs_acl_entries a
LEFT JOIN users u ON a.principal_type = 'user' AND u.id = a.principal_id
LEFT JOIN groups g ON a.principal_type = 'group' AND g.id = a.principal_id
LEFT JOIN organizations o ON a.principal_type = 'organization' AND o.id = a.principal_id
WHERE a.item_id = $1 AND a.revoked_at IS NULL AND (a.expires_at IS NULL OR a.expires_at > now())
ORDER BY a.created_at, a.id COLLATE "C"
LIMIT $2
