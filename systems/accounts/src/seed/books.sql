-- A book for every person and a second collection in every fourth account; deleted with their people.
INSERT INTO platform_books
  (id, workspace_id, managed_user_id, name, status, current_version, created_at, updated_at, collection_id)
SELECT 'book_' || md5(u.id || c.collection), u.workspace_id, u.id, 'My Pixbook', u.status,
       ('x' || left(md5(u.id || c.collection), 7))::bit(28)::int % 4, u.created_at, u.updated_at, c.collection
FROM generate_series(1, $1) AS i
CROSS JOIN generate_series(1, 2) AS n
JOIN platform_managed_users u ON u.id = 'managed-user_' || md5('mu' || i || '-' || n)
CROSS JOIN (VALUES ('primary'), ('travel')) AS c (collection)
WHERE c.collection = 'primary' OR i % 4 = 0
ON CONFLICT DO NOTHING
