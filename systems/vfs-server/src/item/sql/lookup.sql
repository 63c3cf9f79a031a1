WITH me (principal_type, principal_id) AS MATERIALIZED (
    SELECT 'user', $1
    UNION ALL SELECT 'group', group_id FROM user_groups WHERE user_id = $1
    UNION ALL SELECT 'organization', organization_id FROM user_organizations WHERE user_id = $1
)
SELECT r.id, r.object_type, r.owner_id, r.metadata, r.created_at,
       CASE access.rank WHEN 3 THEN 'admin' WHEN 2 THEN 'write' ELSE 'read' END
FROM vfs_registry r
CROSS JOIN LATERAL (
    SELECT CASE WHEN r.owner_id = $1 THEN 3 ELSE (
        SELECT max(CASE a.access_level WHEN 'admin' THEN 3 WHEN 'write' THEN 2 ELSE 1 END)
        FROM vfs_acl_entries a JOIN me USING (principal_type, principal_id)
        WHERE a.item_id = r.id AND a.revoked_at IS NULL
          AND (a.expires_at IS NULL OR a.expires_at > now())) END AS rank
) AS access
WHERE r.id = ANY ($2) AND access.rank IS NOT NULL AND r.object_type <> 'blobStage'
ORDER BY r.id COLLATE "C"
