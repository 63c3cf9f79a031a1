-- Rows by their ids, as they are in accounts; what is not there goes. Deleted rows come first: they make room.
WITH gone AS (
  DELETE FROM platform_workspaces WHERE id = ANY ($1) AND id NOT IN (SELECT id FROM accounts WHERE id = ANY ($1))
)
INSERT INTO platform_workspaces AS kept
  (id, name, created_at, updated_at)
SELECT id, name, created_at, updated_at
FROM accounts
WHERE id = ANY ($1)
ORDER BY id
ON CONFLICT (id) DO UPDATE SET
  name = excluded.name, created_at = excluded.created_at, updated_at = excluded.updated_at
WHERE (kept.name, kept.created_at, kept.updated_at)
      IS DISTINCT FROM
      (excluded.name, excluded.created_at, excluded.updated_at)
