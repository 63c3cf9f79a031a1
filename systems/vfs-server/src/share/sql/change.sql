WITH changed AS (
    UPDATE vfs_acl_entries
    SET access_level = coalesce($2, access_level),
        expires_at = CASE WHEN $3 THEN $4 ELSE expires_at END,
        updated_at = clock_timestamp()
    WHERE id = $1
    RETURNING *
)
SELECT a.id, a.item_id, a.principal_type, a.principal_id, coalesce(u.display_name, u.email, g.name, o.name),
       a.access_level, a.granted_by, a.created_at, a.expires_at
FROM changed a
LEFT JOIN users u ON a.principal_type = 'user' AND u.id = a.principal_id
LEFT JOIN groups g ON a.principal_type = 'group' AND g.id = a.principal_id
LEFT JOIN organizations o ON a.principal_type = 'organization' AND o.id = a.principal_id
