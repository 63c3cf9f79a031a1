SELECT managed_user_id, btrim(collection_id), name
FROM platform_books
WHERE status <> 'deleted' AND collection_id LIKE 'demo-slot-%'
