SELECT EXISTS (
  SELECT FROM vfs_acl_entries AS entry
  WHERE entry.item_id = $1 AND entry.access_level IN ('write', 'admin')
    AND entry.revoked_at IS NULL AND (entry.expires_at IS NULL OR entry.expires_at > now())
    AND CASE entry.principal_type
          WHEN 'user' THEN entry.principal_id = $2
          WHEN 'group' THEN entry.principal_id IN (SELECT group_id FROM user_groups WHERE user_id = $2)
          ELSE entry.principal_id IN (SELECT organization_id FROM user_organizations WHERE user_id = $2)
        END
)
