-- The books of a account that are not deleted, with those of deleted people, oldest first.
SELECT id, account_id, identity_id, collection_id, name, status, current_version, created_at, updated_at
FROM pixbooks
WHERE account_id = $1 AND status <> 'deleted'
ORDER BY created_at, id
