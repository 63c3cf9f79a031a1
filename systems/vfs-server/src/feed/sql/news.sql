WITH me (principal_type, principal_id) AS MATERIALIZED (
    SELECT 'user', $1
    UNION ALL SELECT 'group', group_id FROM user_groups WHERE user_id = $1
    UNION ALL SELECT 'organization', organization_id FROM user_organizations WHERE user_id = $1
)
SELECT h.epoch, h.seq, h.at, op.occurred_at, op.id, change.changed_at, change.id
FROM vfs_feed_head h
LEFT JOIN LATERAL (
    SELECT o.occurred_at, o.id
    FROM vfs_crdt_ops o
    WHERE (o.occurred_at, o.id COLLATE "C") > ($2, $3 COLLATE "C")
      AND ((SELECT r.owner_id FROM vfs_registry r WHERE r.id COLLATE "C" = o.item_id) = $1
           OR (SELECT true FROM vfs_acl_entries a JOIN me USING (principal_type, principal_id)
               WHERE a.item_id = o.item_id AND a.revoked_at IS NULL
                 AND (a.expires_at IS NULL OR a.expires_at > now())
               LIMIT 1)
           OR (o.op_type = 'acl_remove' AND o.source_table NOT IN ('vfs_crdt_client_push', 'vfs_acl_entries_again')
               AND (SELECT true FROM me
                    WHERE (me.principal_type, me.principal_id) = (o.principal_type, o.principal_id))))
    ORDER BY o.occurred_at DESC, o.id COLLATE "C" DESC
    LIMIT 1
) AS op ON true
LEFT JOIN LATERAL (
    SELECT c.changed_at, c.id
    FROM vfs_sync_changes c
    WHERE (c.changed_at, c.id COLLATE "C") > ($2, $3 COLLATE "C")
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
    ORDER BY c.changed_at DESC, c.id COLLATE "C" DESC
    LIMIT 1
) AS change ON true
