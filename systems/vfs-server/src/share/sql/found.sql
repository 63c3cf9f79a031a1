SELECT a.id, r.owner_id
FROM vfs_acl_entries a
JOIN vfs_registry r ON r.id = a.item_id
WHERE (a.id = $1 OR (NOT $2 AND a.id = 'share:' || $1))
  AND starts_with(a.id, 'org-share:') = $2
  AND a.revoked_at IS NULL AND (a.expires_at IS NULL OR a.expires_at > now())
ORDER BY a.id = $1 DESC
LIMIT 1
FOR UPDATE OF r, a
