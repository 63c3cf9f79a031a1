-- Rows by their ids, as they are in account_members; what is not there goes. Deleted rows come first: they make room.
WITH gone AS (
  DELETE FROM platform_workspace_members WHERE id = ANY ($1) AND id NOT IN (SELECT id FROM account_members WHERE id = ANY ($1))
)
INSERT INTO platform_workspace_members AS kept
  (id, workspace_id, user_id, role, status, created_at, updated_at)
SELECT id, account_id, user_id, role, status, created_at, updated_at
FROM account_members
WHERE id = ANY ($1)
ORDER BY (status <> 'deleted'), id
ON CONFLICT (id) DO UPDATE SET
  workspace_id = excluded.workspace_id, user_id = excluded.user_id, role = excluded.role,
  status = excluded.status, created_at = excluded.created_at, updated_at = excluded.updated_at
WHERE (kept.workspace_id, kept.user_id, kept.role, kept.status, kept.created_at, kept.updated_at)
      IS DISTINCT FROM
      (excluded.workspace_id, excluded.user_id, excluded.role, excluded.status, excluded.created_at,
       excluded.updated_at)
