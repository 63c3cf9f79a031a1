INSERT INTO pixbooks (id, account_id, identity_id, collection_id, name) VALUES ($1, $2, $3, $4, $5)
