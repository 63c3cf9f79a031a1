WITH asked (at, id, root) AS MATERIALIZED (
    -- Read from here, no value makes a plan look cheaper than the one for any value: that one is kept.
    SELECT $2, $3, $4
), me (principal_type, principal_id) AS MATERIALIZED (
    SELECT 'user', $1
    UNION ALL SELECT 'group', group_id FROM user_groups WHERE user_id = $1
    UNION ALL SELECT 'organization', organization_id FROM user_organizations WHERE user_id = $1
), next AS (
    SELECT c.id, c.item_id, c.change_type, c.changed_at
    FROM vfs_sync_changes c
    WHERE (c.changed_at, c.id COLLATE "C") > ((SELECT at FROM asked), (SELECT id FROM asked) COLLATE "C")
      AND ((SELECT root FROM asked) IS NULL OR c.item_id = (SELECT root FROM asked)
           OR (SELECT true FROM vfs_links l WHERE l.parent_id = (SELECT root FROM asked) AND l.child_id = c.item_id))
      AND ((SELECT r.owner_id FROM vfs_registry r WHERE r.id COLLATE "C" = c.item_id) = $1
           OR (SELECT true FROM vfs_acl_entries a JOIN me USING (principal_type, principal_id)
               WHERE a.item_id = c.item_id
                 AND ((a.revoked_at IS NULL AND (a.expires_at IS NULL OR a.expires_at > now()))
                      -- Whoever lost it hears of that, and of nothing after it: the change stands next to its operation.
                      OR (c.change_type = 'acl'
                          AND (c.changed_at <= least(a.revoked_at, a.expires_at)
                               OR c.seq <= (SELECT max(o.seq) + 1 FROM vfs_crdt_ops o
                                            WHERE o.item_id COLLATE "C" = a.item_id AND o.op_type = 'acl_remove'
                                              AND o.source_table NOT IN ('vfs_crdt_client_push', 'vfs_acl_entries_again')
                                              AND (o.principal_type, o.principal_id)
                                                  = (a.principal_type, a.principal_id)))))
               LIMIT 1)
           OR (c.change_type = 'delete' AND c.changed_by = $1))
    ORDER BY c.changed_at, c.id COLLATE "C"
    -- A bound that the planner can read, or it would plan each page anew for the sake of its length.
    LIMIT 501
), page AS (
    SELECT * FROM next ORDER BY changed_at, id COLLATE "C" LIMIT $5
)
SELECT page.id, page.item_id, page.change_type, page.changed_at,
       CASE WHEN access.rank IS NOT NULL THEN r.object_type END,
       CASE WHEN access.rank IS NOT NULL THEN r.owner_id END,
       CASE WHEN access.rank IS NOT NULL THEN r.created_at END,
       CASE access.rank WHEN 3 THEN 'admin' WHEN 2 THEN 'write' WHEN 1 THEN 'read' END
FROM page
LEFT JOIN vfs_registry r ON r.id = page.item_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN r.owner_id = $1 THEN 3 ELSE (
        SELECT max(CASE a.access_level WHEN 'admin' THEN 3 WHEN 'write' THEN 2 ELSE 1 END)
        FROM vfs_acl_entries a JOIN me USING (principal_type, principal_id)
        WHERE a.item_id = page.item_id AND a.revoked_at IS NULL
          AND (a.expires_at IS NULL OR a.expires_at > now())) END AS rank
) AS access
ORDER BY page.changed_at, page.id COLLATE "C"
