-- The active membership of a user in one account; the oldest of all where none is named.
SELECT m.id, w.id, w.name, m.role, w.created_at, w.updated_at
FROM account_members m
JOIN accounts w ON w.id = m.account_id
WHERE m.user_id = $1 AND m.status = 'active' AND ($2 = '' OR m.account_id = $2)
ORDER BY m.created_at, m.id
LIMIT 1
