-- Rows by their ids, as they are in pixbooks; what is not there goes. Deleted rows come first: they make room. With them
-- come those that are deleted there and still in the way here: nobody told, while writes were not mirrored.
WITH gone AS (
  DELETE FROM platform_books WHERE id = ANY ($1) AND id NOT IN (SELECT id FROM pixbooks WHERE id = ANY ($1))
),
in_the_way AS (
  SELECT deleted.id
  FROM pixbooks wanted
  JOIN platform_books here
    ON here.workspace_id = wanted.account_id AND here.managed_user_id = wanted.identity_id
    AND here.collection_id = wanted.collection_id AND here.status <> 'deleted'
  JOIN pixbooks deleted ON deleted.id = here.id AND deleted.status = 'deleted'
  WHERE wanted.id = ANY ($1) AND wanted.status <> 'deleted'
)
INSERT INTO platform_books AS kept
  (id, workspace_id, managed_user_id, collection_id, name, status, current_version, created_at, updated_at)
SELECT id, account_id, identity_id, collection_id, name, status, current_version, created_at, updated_at
FROM pixbooks
WHERE id = ANY ($1 || ARRAY (SELECT id FROM in_the_way))
ORDER BY (status <> 'deleted'), id
ON CONFLICT (id) DO UPDATE SET
  workspace_id = excluded.workspace_id, managed_user_id = excluded.managed_user_id,
  collection_id = excluded.collection_id, name = excluded.name, status = excluded.status,
  current_version = excluded.current_version, created_at = excluded.created_at, updated_at = excluded.updated_at
WHERE (kept.workspace_id, kept.managed_user_id, kept.collection_id, kept.name, kept.status, kept.current_version,
       kept.created_at, kept.updated_at)
      IS DISTINCT FROM
      (excluded.workspace_id, excluded.managed_user_id, excluded.collection_id, excluded.name, excluded.status,
       excluded.current_version, excluded.created_at, excluded.updated_at)
