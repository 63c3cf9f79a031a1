-- Rows by their ids, as they are in account_permissions; what is not there goes. Deleted rows come first: they make room.
WITH gone AS (
  DELETE FROM platform_permissions WHERE id = ANY ($1) AND id NOT IN (SELECT id FROM account_permissions WHERE id = ANY ($1))
)
INSERT INTO platform_permissions AS kept
  (id, member_id, capability, created_at)
SELECT id, member_id, capability, created_at
FROM account_permissions
WHERE id = ANY ($1)
ORDER BY id
ON CONFLICT (id) DO UPDATE SET
  member_id = excluded.member_id, capability = excluded.capability, created_at = excluded.created_at
WHERE (kept.member_id, kept.capability, kept.created_at)
      IS DISTINCT FROM
      (excluded.member_id, excluded.capability, excluded.created_at)
