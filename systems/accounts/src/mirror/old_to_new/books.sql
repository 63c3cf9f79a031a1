-- Rows by their ids, as they are in platform_books; what is not there goes. Deleted rows come first: they make room. With
-- them come those that are deleted there and still in the way here: nobody told, while writes were not mirrored.
WITH gone AS (
  DELETE FROM pixbooks WHERE id = ANY ($1) AND id NOT IN (SELECT id FROM platform_books WHERE id = ANY ($1))
),
in_the_way AS (
  SELECT deleted.id
  FROM platform_books wanted
  JOIN pixbooks here
    ON here.identity_id = wanted.managed_user_id AND here.status <> 'deleted'
    AND here.collection_id = coalesce(nullif(btrim(wanted.collection_id), ''), 'primary')
  JOIN platform_books deleted ON deleted.id = here.id AND deleted.status = 'deleted'
  WHERE wanted.id = ANY ($1) AND wanted.status <> 'deleted'
)
INSERT INTO pixbooks AS kept
  (id, account_id, identity_id, collection_id, name, status, current_version, created_at, updated_at)
SELECT id, workspace_id, managed_user_id, coalesce(nullif(btrim(collection_id), ''), 'primary'), name, status,
       current_version, created_at, updated_at
FROM platform_books
WHERE id = ANY ($1 || ARRAY (SELECT id FROM in_the_way))
ORDER BY (status <> 'deleted'), id
ON CONFLICT (id) DO UPDATE SET
  account_id = excluded.account_id, identity_id = excluded.identity_id, collection_id = excluded.collection_id,
  name = excluded.name, status = excluded.status, current_version = excluded.current_version,
  created_at = excluded.created_at, updated_at = excluded.updated_at
WHERE (kept.account_id, kept.identity_id, kept.collection_id, kept.name, kept.status, kept.current_version,
       kept.created_at, kept.updated_at)
      IS DISTINCT FROM
      (excluded.account_id, excluded.identity_id, excluded.collection_id, excluded.name, excluded.status,
       excluded.current_version, excluded.created_at, excluded.updated_at)
