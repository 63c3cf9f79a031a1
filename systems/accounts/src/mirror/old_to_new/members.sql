-- Rows by their ids, as they are in platform_workspace_members; what is not there goes. Deleted rows come first: they make room.
WITH gone AS (
  DELETE FROM account_members WHERE id = ANY ($1) AND id NOT IN (SELECT id FROM platform_workspace_members WHERE id = ANY ($1))
)
INSERT INTO account_members AS kept
  (id, account_id, user_id, role, status, created_at, updated_at)
SELECT id, workspace_id, user_id, role, status, created_at, updated_at
FROM platform_workspace_members
WHERE id = ANY ($1)
ORDER BY (status <> 'deleted'), id
ON CONFLICT (id) DO UPDATE SET
  account_id = excluded.account_id, user_id = excluded.user_id, role = excluded.role, status = excluded.status,
  created_at = excluded.created_at, updated_at = excluded.updated_at
WHERE (kept.account_id, kept.user_id, kept.role, kept.status, kept.created_at, kept.updated_at)
      IS DISTINCT FROM
      (excluded.account_id, excluded.user_id, excluded.role, excluded.status, excluded.created_at,
       excluded.updated_at)
