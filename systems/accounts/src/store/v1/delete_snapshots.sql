DELETE FROM platform_book_snapshots WHERE id = ANY ($1)
