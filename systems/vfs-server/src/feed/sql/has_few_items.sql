-- Whether a caller, or a root, has at most so many items.
WITH me (principal_type, principal_id) AS MATERIALIZED (
    SELECT 'user', $1
    UNION ALL SELECT 'group', group_id FROM user_groups WHERE user_id = $1
    UNION ALL SELECT 'organization', organization_id FROM user_organizations WHERE user_id = $1
)
SELECT NOT EXISTS (
    SELECT FROM (
        SELECT FROM vfs_registry r WHERE $2 IS NULL AND r.owner_id = $1
        UNION ALL
        SELECT FROM vfs_acl_entries a JOIN me USING (principal_type, principal_id)
        WHERE $2 IS NULL
        UNION ALL
        SELECT FROM vfs_links l WHERE l.parent_id = $2
    ) AS candidate
    OFFSET $3
)
