DELETE FROM vfs_acl_entries
WHERE item_id = $1 AND principal_type = $2 AND principal_id = $3 AND NOT starts_with(id, $4)
  AND (revoked_at IS NOT NULL OR expires_at <= clock_timestamp())
