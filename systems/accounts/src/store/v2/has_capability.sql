-- Whether an active member of a account may do something. No row: the user is no such member.
SELECT EXISTS (SELECT FROM account_permissions p WHERE p.member_id = m.id AND p.capability = $3)
FROM account_members m
WHERE m.user_id = $1 AND m.account_id = $2 AND m.status = 'active'
