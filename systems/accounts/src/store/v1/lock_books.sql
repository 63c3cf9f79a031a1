-- The rows that are about to change, always in the same order.
SELECT id FROM platform_books WHERE id = ANY ($1) ORDER BY id FOR UPDATE
