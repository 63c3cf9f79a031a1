-- What constraints promise, counted all the same.
SELECT jsonb_agg(jsonb_build_object('type', 'integrity', 'name', name, 'count', found, 'ok', found = 0) ORDER BY place)
FROM (VALUES
  (1, 'account_member_account_fk', (SELECT count(*) FROM account_members m WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.id = m.account_id))),
  (2, 'identity_account_fk', (SELECT count(*) FROM identities i WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.id = i.account_id))),
  (3, 'pixbook_identity_fk', (SELECT count(*) FROM pixbooks b WHERE NOT EXISTS (SELECT FROM identities i WHERE i.id = b.identity_id))),
  (4, 'pixbook_account_match', (SELECT count(*) FROM pixbooks b JOIN identities i ON i.id = b.identity_id WHERE i.account_id <> b.account_id)),
  (5, 'snapshot_pixbook_fk', (SELECT count(*) FROM pixbook_snapshots s WHERE NOT EXISTS (SELECT FROM pixbooks b WHERE b.id = s.pixbook_id))),
  (6, 'identity_fingerprint_duplicates', (SELECT count(*) FROM (SELECT FROM identities WHERE identity_key_fingerprint IS NOT NULL AND status <> 'deleted'
                                          GROUP BY account_id, identity_key_fingerprint HAVING count(*) > 1) d)),
  (7, 'pixbook_active_duplicates', (SELECT count(*) FROM (SELECT FROM pixbooks WHERE status <> 'deleted'
                                    GROUP BY identity_id, collection_id HAVING count(*) > 1) d))
) AS checks (place, name, found)
