UPDATE platform_books SET current_version = $2, updated_at = clock_timestamp()
WHERE id = $1
