-- The book that a person has in a collection, where it is not deleted.
SELECT id, account_id, identity_id, collection_id, name, status, current_version, created_at, updated_at
FROM pixbooks
WHERE account_id = $1 AND identity_id = $2 AND btrim(collection_id) = $3 AND status <> 'deleted'
ORDER BY created_at, id
LIMIT 1
