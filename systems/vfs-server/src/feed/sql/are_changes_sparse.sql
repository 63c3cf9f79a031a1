-- Whether fewer than fifty of the next thousand rows are the caller's, as far as one sees from who may see the items now.
-- Where many are, fifty are found at once.
WITH me (principal_type, principal_id) AS MATERIALIZED (
    SELECT 'user', $1
    UNION ALL SELECT 'group', group_id FROM user_groups WHERE user_id = $1
    UNION ALL SELECT 'organization', organization_id FROM user_organizations WHERE user_id = $1
)
SELECT NOT EXISTS (
    SELECT FROM (
        SELECT c.item_id
        FROM vfs_sync_changes c
        WHERE (c.changed_at, c.id COLLATE "C") > ($2, $3 COLLATE "C")
        ORDER BY c.changed_at, c.id COLLATE "C"
        LIMIT 1000
    ) AS next
    WHERE ($4 IS NULL OR next.item_id = $4
           OR (SELECT true FROM vfs_links l WHERE l.parent_id = $4 AND l.child_id = next.item_id))
      AND ((SELECT r.owner_id FROM vfs_registry r WHERE r.id = next.item_id) = $1
           OR (SELECT true FROM vfs_acl_entries a JOIN me USING (principal_type, principal_id)
               WHERE a.item_id = next.item_id
               LIMIT 1))
    OFFSET 49
)
