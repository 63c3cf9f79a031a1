-- A few accounts as people would look at them, and each person's active collections in both schemas.
WITH sampled AS (
  SELECT id, name FROM accounts ORDER BY created_at DESC, id LIMIT $1
), differing AS (
  SELECT coalesce(o.id, n.id) AS id, coalesce(o.account_id, n.account_id) AS account_id, o.collections AS old, n.collections AS new
  FROM (SELECT u.id, u.workspace_id AS account_id, jsonb_agg(DISTINCT btrim(b.collection_id)) AS collections
        FROM platform_managed_users u JOIN platform_books b ON b.managed_user_id = u.id AND b.status <> 'deleted' GROUP BY u.id) o
  FULL JOIN (SELECT i.id, i.account_id, jsonb_agg(DISTINCT b.collection_id) AS collections
             FROM identities i JOIN pixbooks b ON b.identity_id = i.id AND b.status <> 'deleted' GROUP BY i.id) n ON n.id = o.id
  WHERE o.collections IS DISTINCT FROM n.collections
)
SELECT jsonb_build_array(
  jsonb_build_object(
    'type', 'sample', 'name', 'account_identity_pixbook_samples', 'ok', true, 'checkedAccounts', (SELECT count(*) FROM sampled),
    'sample', (SELECT coalesce(jsonb_agg(jsonb_build_object(
       'account', jsonb_build_object('id', s.id, 'name', s.name),
       'identities', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', i.id, 'displayName', i.display_name, 'status', i.status)), '[]')
                      FROM (SELECT * FROM identities WHERE account_id = s.id ORDER BY created_at, id LIMIT 20) i),
       'pixbooks', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', b.id, 'name', b.name, 'currentVersion', b.current_version)), '[]')
                    FROM (SELECT * FROM pixbooks WHERE account_id = s.id ORDER BY created_at, id LIMIT 50) b))), '[]') FROM sampled s)),
  jsonb_build_object(
    'type', 'sample', 'name', 'identity_expected_collections', 'ok', NOT EXISTS (SELECT FROM differing),
    'mismatchCount', (SELECT count(*) FROM differing),
    'mismatches', (SELECT coalesce(jsonb_agg(jsonb_build_object('identity_id', d.id, 'account_id', d.account_id,
                     'old_collections', d.old, 'new_collections', d.new)), '[]') FROM (SELECT * FROM differing ORDER BY id LIMIT 5 * $1) d)))
