-- One book of a workspace; neither it nor whose it is may be deleted.
SELECT b.id, b.workspace_id, b.managed_user_id, b.collection_id, b.name, b.status, b.current_version, b.created_at,
       b.updated_at
FROM platform_books b
JOIN platform_managed_users i ON i.id = b.managed_user_id AND i.status <> 'deleted'
WHERE b.workspace_id = $1 AND b.id = $2 AND b.status <> 'deleted'
