INSERT INTO platform_books (id, workspace_id, managed_user_id, collection_id, name) VALUES ($1, $2, $3, $4, $5)
