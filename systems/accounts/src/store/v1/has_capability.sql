-- Whether an active member of a workspace may do something. No row: the user is no such member.
SELECT EXISTS (SELECT FROM platform_permissions p WHERE p.member_id = m.id AND p.capability = $3)
FROM platform_workspace_members m
WHERE m.user_id = $1 AND m.workspace_id = $2 AND m.status = 'active'
