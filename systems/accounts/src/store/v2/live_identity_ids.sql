SELECT id FROM identities WHERE account_id = $1 AND status <> 'deleted' ORDER BY id
