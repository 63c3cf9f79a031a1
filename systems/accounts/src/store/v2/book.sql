-- One book of a account; neither it nor whose it is may be deleted.
SELECT b.id, b.account_id, b.identity_id, b.collection_id, b.name, b.status, b.current_version, b.created_at,
       b.updated_at
FROM pixbooks b
JOIN identities i ON i.id = b.identity_id AND i.status <> 'deleted'
WHERE b.account_id = $1 AND b.id = $2 AND b.status <> 'deleted'
