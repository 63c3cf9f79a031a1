UPDATE platform_books SET name = $2, updated_at = clock_timestamp() WHERE id = $1 AND status <> 'deleted'
