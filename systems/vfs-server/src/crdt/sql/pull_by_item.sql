-- The page of pull.sql, gathered from the items that the caller may see and not from the rows behind the cursor: for
-- whom most of those are others'. Each item gives as many rows as a page has, by its own index.
WITH me (principal_type, principal_id) AS MATERIALIZED (
    SELECT 'user', $1
    UNION ALL SELECT 'group', group_id FROM user_groups WHERE user_id = $1
    UNION ALL SELECT 'organization', organization_id FROM user_organizations WHERE user_id = $1
), candidate (item_id) AS MATERIALIZED (
    SELECT r.id FROM vfs_registry r WHERE $4 IS NULL AND r.owner_id = $1
    UNION
    SELECT a.item_id FROM vfs_acl_entries a JOIN me USING (principal_type, principal_id)
    WHERE $4 IS NULL AND a.revoked_at IS NULL AND (a.expires_at IS NULL OR a.expires_at > now())
    UNION SELECT $4 WHERE $4 IS NOT NULL
    UNION SELECT l.child_id FROM vfs_links l WHERE l.parent_id = $4
), visible (item_id) AS MATERIALIZED (
    SELECT c.item_id FROM candidate c
    WHERE (SELECT r.owner_id FROM vfs_registry r WHERE r.id COLLATE "C" = c.item_id) = $1
       OR (SELECT true FROM vfs_acl_entries a JOIN me USING (principal_type, principal_id)
           WHERE a.item_id = c.item_id AND a.revoked_at IS NULL
             AND (a.expires_at IS NULL OR a.expires_at > now())
           LIMIT 1)
)
SELECT id, item_id, op_type, principal_type, principal_id, access_level, parent_id, child_id,
       actor_id, source_table, source_id, occurred_at
FROM (
    SELECT o.*
    FROM visible v CROSS JOIN LATERAL (
        SELECT o.*
        FROM vfs_crdt_ops o
        WHERE o.item_id COLLATE "C" = v.item_id AND (o.occurred_at, o.id COLLATE "C") > ($2, $3 COLLATE "C")
        ORDER BY o.occurred_at, o.id COLLATE "C"
        LIMIT 501
    ) o
    UNION ALL
    -- Whoever lost an item hears of that.
    SELECT o.*
    FROM me CROSS JOIN LATERAL (
        SELECT o.*
        FROM vfs_crdt_ops o
        WHERE o.op_type = 'acl_remove' AND o.source_table NOT IN ('vfs_crdt_client_push', 'vfs_acl_entries_again')
          AND o.principal_type = me.principal_type AND o.principal_id COLLATE "C" = me.principal_id
          AND (o.occurred_at, o.id COLLATE "C") > ($2, $3 COLLATE "C")
          AND ($4 IS NULL OR o.item_id IN (SELECT c.item_id FROM candidate c))
          AND o.item_id NOT IN (SELECT v.item_id FROM visible v)
        ORDER BY o.occurred_at, o.id COLLATE "C"
        LIMIT 501
    ) o
) AS page
ORDER BY occurred_at, id COLLATE "C"
LIMIT $5
