-- The books of a workspace that are not deleted, with those of deleted people, oldest first.
SELECT id, workspace_id, managed_user_id, collection_id, name, status, current_version, created_at, updated_at
FROM platform_books
WHERE workspace_id = $1 AND status <> 'deleted'
ORDER BY created_at, id
