WITH me (principal_type, principal_id) AS MATERIALIZED (
    SELECT 'user', $1
    UNION ALL SELECT 'group', group_id FROM user_groups WHERE user_id = $1
    UNION ALL SELECT 'organization', organization_id FROM user_organizations WHERE user_id = $1
), visible AS MATERIALIZED (
    SELECT r.id FROM vfs_registry r WHERE r.owner_id = $1
    UNION
    SELECT a.item_id
    FROM vfs_acl_entries a JOIN me USING (principal_type, principal_id)
    WHERE a.revoked_at IS NULL AND (a.expires_at IS NULL OR a.expires_at > now())
), newest AS MATERIALIZED (
    SELECT DISTINCT ON (o.item_id, o.parent_id, o.principal_type, o.principal_id) o.*
    FROM visible JOIN vfs_crdt_ops o ON o.item_id COLLATE "C" = visible.id
    ORDER BY o.item_id, o.parent_id, o.principal_type, o.principal_id, o.seq DESC
), clocks AS (
    SELECT DISTINCT ON (container) container, id, occurred_at
    FROM (SELECT coalesce(parent_id, item_id) AS container, id, occurred_at, seq FROM newest) AS changed
    ORDER BY container, seq DESC
), writes AS (
    SELECT replica_id, max_write_id
    FROM vfs_crdt_replica_heads
    WHERE actor_id = $1
    ORDER BY coalesce(replica_id = $2, false) DESC, updated_at DESC, replica_id COLLATE "C"
    LIMIT $3
)
SELECT kind, a, b, c, d, at, number
FROM (
    SELECT 1 AS kind, vfs_position_id(epoch, seq) AS a, '' AS b, '' AS c, '' AS d, at, epoch::bigint AS number
    FROM vfs_feed_head
    UNION ALL SELECT 2, parent_id, item_id, '', '', occurred_at, 0 FROM newest WHERE op_type = 'link_add'
    UNION ALL SELECT 3, item_id, principal_type, principal_id, access_level, occurred_at, 0
    FROM newest WHERE op_type = 'acl_add'
    UNION ALL SELECT 4, container, id, '', '', occurred_at, 0 FROM clocks
    UNION ALL SELECT 5, replica_id, '', '', '', NULL, max_write_id FROM writes
) AS folded
ORDER BY kind, a COLLATE "C", array_position(ARRAY['user', 'group', 'organization'], b), b COLLATE "C", c COLLATE "C"
LIMIT $4
