-- The making of every account, and the removal of the people who are deleted.
INSERT INTO platform_audit_events (id, workspace_id, actor_user_id, event_type, payload, created_at)
SELECT 'audit_' || md5('created' || i), w.id, 'user_' || md5('user' || i), 'workspace.created',
       jsonb_build_object('workspaceId', w.id, 'memberId', 'member_' || md5('owner' || i)), w.created_at
FROM generate_series(1, $1) AS i
JOIN platform_workspaces w ON w.id = 'ws_' || md5('ws' || i)
UNION ALL
SELECT 'audit_' || md5('removed' || i), u.workspace_id, 'user_' || md5('user' || i), 'managed-user.identity.removed',
       jsonb_build_object('managedUserId', u.id, 'removedBookIds', jsonb_build_array('book_' || md5(u.id || 'primary'))),
       u.updated_at
FROM generate_series(1, $1) AS i
JOIN platform_managed_users u ON u.id = 'managed-user_' || md5('mu' || i || '-1') AND u.status = 'deleted'
ON CONFLICT DO NOTHING
