UPDATE vfs_acl_entries
SET revoked_at = clock_timestamp(), updated_at = clock_timestamp()
WHERE id = $1 AND revoked_at IS NULL
