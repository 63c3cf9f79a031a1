SELECT DISTINCT managed_user_id FROM platform_books WHERE id = ANY ($1) ORDER BY managed_user_id
