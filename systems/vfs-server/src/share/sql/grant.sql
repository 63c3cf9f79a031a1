WITH granted AS (
    INSERT INTO vfs_acl_entries AS a (id, item_id, principal_type, principal_id, access_level, wrapped_session_key,
        granted_by, created_at, updated_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, date_trunc('milliseconds', clock_timestamp()), clock_timestamp(), $8)
    ON CONFLICT (item_id, principal_type, principal_id) DO UPDATE SET
        access_level = EXCLUDED.access_level,
        wrapped_session_key = EXCLUDED.wrapped_session_key,
        wrapped_hierarchical_key = NULL,
        granted_by = EXCLUDED.granted_by,
        updated_at = EXCLUDED.updated_at,
        expires_at = EXCLUDED.expires_at,
        revoked_at = NULL
    WHERE a.revoked_at IS NOT NULL OR a.expires_at <= clock_timestamp()
    RETURNING a.*
)
SELECT a.id, a.item_id, a.principal_type, a.principal_id, coalesce(u.display_name, u.email, g.name, o.name),
       a.access_level, a.granted_by, a.created_at, a.expires_at
FROM granted a
LEFT JOIN users u ON a.principal_type = 'user' AND u.id = a.principal_id
LEFT JOIN groups g ON a.principal_type = 'group' AND g.id = a.principal_id
LEFT JOIN organizations o ON a.principal_type = 'organization' AND o.id = a.principal_id
