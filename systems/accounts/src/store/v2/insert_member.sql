INSERT INTO account_members (id, account_id, user_id, role) VALUES ($1, $2, $3, $4)
