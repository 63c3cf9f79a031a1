WITH asked (at, id, root) AS MATERIALIZED (
    -- Read from here, no value makes a plan look cheaper than the one for any value: that one is kept.
    SELECT $2, $3, $4
), me (principal_type, principal_id) AS MATERIALIZED (
    SELECT 'user', $1
    UNION ALL SELECT 'group', group_id FROM user_groups WHERE user_id = $1
    UNION ALL SELECT 'organization', organization_id FROM user_organizations WHERE user_id = $1
)
-- The page has a bound that the planner can read, or it would plan each page anew for the sake of its length.
SELECT * FROM (
-- Visibility is asked row by row, by scalar subqueries: what the user may see in all is never gathered, however much.
SELECT o.id, o.item_id, o.op_type, o.principal_type, o.principal_id, o.access_level, o.parent_id, o.child_id,
       o.actor_id, o.source_table, o.source_id, o.occurred_at
FROM vfs_crdt_ops o
WHERE (o.occurred_at, o.id COLLATE "C") > ((SELECT at FROM asked), (SELECT id FROM asked) COLLATE "C")
  AND ((SELECT root FROM asked) IS NULL OR o.item_id = (SELECT root FROM asked)
       OR (SELECT true FROM vfs_links l WHERE l.parent_id = (SELECT root FROM asked) AND l.child_id = o.item_id))
  AND ((SELECT r.owner_id FROM vfs_registry r WHERE r.id COLLATE "C" = o.item_id) = $1
       OR (SELECT true FROM vfs_acl_entries a JOIN me USING (principal_type, principal_id)
           WHERE a.item_id = o.item_id AND a.revoked_at IS NULL
             AND (a.expires_at IS NULL OR a.expires_at > now())
           LIMIT 1)
       OR (o.op_type = 'acl_remove' AND o.source_table NOT IN ('vfs_crdt_client_push', 'vfs_acl_entries_again')
           AND (SELECT true FROM me WHERE (me.principal_type, me.principal_id) = (o.principal_type, o.principal_id))))
ORDER BY o.occurred_at, o.id COLLATE "C"
LIMIT 501
) AS page
ORDER BY occurred_at, id COLLATE "C"
LIMIT $5
