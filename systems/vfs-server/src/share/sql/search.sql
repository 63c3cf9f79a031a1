WITH mine AS (SELECT organization_id FROM user_organizations WHERE user_id = $1)
SELECT kind, id, name
FROM (
    SELECT DISTINCT 'user' AS kind, u.id, coalesce(u.display_name, u.email, u.id) AS name
    FROM users u JOIN user_organizations theirs ON theirs.user_id = u.id JOIN mine USING (organization_id)
    WHERE u.id <> $1
    UNION ALL
    SELECT 'group', g.id, g.name FROM groups g JOIN mine USING (organization_id)
    UNION ALL
    SELECT 'organization', o.id, o.name FROM organizations o JOIN mine ON mine.organization_id = o.id
) AS target
WHERE ($3 IS NULL OR kind = $3) AND position(lower($2) IN lower(name)) > 0
ORDER BY lower(name) COLLATE "C", kind, id COLLATE "C"
LIMIT $4
