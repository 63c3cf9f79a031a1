-- Rows of each pair of tables.
SELECT jsonb_build_array(
  jsonb_build_object('stage', 'accounts', 'old', (SELECT count(*) FROM platform_workspaces), 'new', (SELECT count(*) FROM accounts)),
  jsonb_build_object('stage', 'account_members', 'old', (SELECT count(*) FROM platform_workspace_members), 'new', (SELECT count(*) FROM account_members)),
  jsonb_build_object('stage', 'account_permissions', 'old', (SELECT count(*) FROM platform_permissions), 'new', (SELECT count(*) FROM account_permissions)),
  jsonb_build_object('stage', 'identities', 'old', (SELECT count(*) FROM platform_managed_users), 'new', (SELECT count(*) FROM identities)),
  jsonb_build_object('stage', 'pixbooks', 'old', (SELECT count(*) FROM platform_books), 'new', (SELECT count(*) FROM pixbooks)),
  jsonb_build_object('stage', 'pixbook_snapshots', 'old', (SELECT count(*) FROM platform_book_snapshots), 'new', (SELECT count(*) FROM pixbook_snapshots)),
  jsonb_build_object('stage', 'audit_events', 'old', (SELECT count(*) FROM platform_audit_events), 'new', (SELECT count(*) FROM audit_events)))
