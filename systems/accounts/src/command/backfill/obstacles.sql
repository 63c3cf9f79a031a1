-- What the second schema would refuse, found before anything is written: stage, error, and up to 100 rows each.
WITH duplicates AS (
  SELECT jsonb_build_object('account_id', workspace_id, 'identity_key_fingerprint', identity_key_fingerprint,
                            'duplicate_count', count(*), 'identity_ids', jsonb_agg(id ORDER BY created_at, id)) AS found
  FROM platform_managed_users
  WHERE identity_key_fingerprint IS NOT NULL AND status <> 'deleted'
  GROUP BY workspace_id, identity_key_fingerprint HAVING count(*) > 1
  ORDER BY workspace_id, identity_key_fingerprint LIMIT 100
), foreigners AS (
  SELECT jsonb_build_object('id', b.id, 'account_id', b.workspace_id, 'identity_id', b.managed_user_id,
                            'identity_account_id', u.workspace_id) AS found
  FROM platform_books b JOIN platform_managed_users u ON u.id = b.managed_user_id
  WHERE u.workspace_id <> b.workspace_id
  ORDER BY b.id LIMIT 100
), collisions AS (
  SELECT jsonb_build_object('identity_id', managed_user_id, 'pixbook_ids', jsonb_agg(id ORDER BY created_at, id),
                            'collection_id', coalesce(nullif(btrim(collection_id), ''), 'primary')) AS found
  FROM platform_books WHERE status <> 'deleted'
  GROUP BY managed_user_id, coalesce(nullif(btrim(collection_id), ''), 'primary') HAVING count(*) > 1
  ORDER BY managed_user_id LIMIT 100
), listed (stage, error, rows) AS (
  SELECT 'identities', 'duplicate active identity_key_fingerprint rows', (SELECT jsonb_agg(found) FROM duplicates)
  UNION ALL
  SELECT 'pixbooks', 'identity account does not match pixbook account', (SELECT jsonb_agg(found) FROM foreigners)
  UNION ALL
  SELECT 'pixbooks', 'active pixbooks share a collection once blanks around its name are cut', (SELECT jsonb_agg(found) FROM collisions)
)
SELECT coalesce(jsonb_agg(jsonb_build_object('stage', stage, 'error', error, 'rows', rows)), '[]')
FROM listed WHERE rows IS NOT NULL
