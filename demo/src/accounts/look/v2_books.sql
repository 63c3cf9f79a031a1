SELECT identity_id, btrim(collection_id), name
FROM pixbooks
WHERE status <> 'deleted' AND collection_id LIKE 'demo-slot-%'
