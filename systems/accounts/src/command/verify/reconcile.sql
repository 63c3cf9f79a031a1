-- The deleted, counted in both schemas.
SELECT jsonb_build_array(
  jsonb_build_object('type', 'reconcile', 'name', 'deleted_identity_count', 'oldCount', i.old, 'newCount', i.new,
                     'forcedDeletedForFingerprintUniqueness', 0, 'expectedNewCount', i.old, 'ok', i.old = i.new),
  jsonb_build_object('type', 'reconcile', 'name', 'deleted_pixbook_count', 'oldCount', b.old, 'newCount', b.new, 'ok', b.old = b.new))
FROM (SELECT (SELECT count(*) FROM platform_managed_users WHERE status = 'deleted'), (SELECT count(*) FROM identities WHERE status = 'deleted')) i (old, new),
     (SELECT (SELECT count(*) FROM platform_books WHERE status = 'deleted'), (SELECT count(*) FROM pixbooks WHERE status = 'deleted')) b (old, new)
