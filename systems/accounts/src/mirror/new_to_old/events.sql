-- Rows by their ids, as they are in audit_events; what is not there goes. Deleted rows come first: they make room.
WITH gone AS (
  DELETE FROM platform_audit_events WHERE id = ANY ($1) AND id NOT IN (SELECT id FROM audit_events WHERE id = ANY ($1))
)
INSERT INTO platform_audit_events AS kept
  (id, workspace_id, actor_user_id, event_type, payload, created_at)
SELECT id, account_id, actor_user_id, event_type, payload, created_at
FROM audit_events
WHERE id = ANY ($1)
ORDER BY id
ON CONFLICT (id) DO UPDATE SET
  workspace_id = excluded.workspace_id, actor_user_id = excluded.actor_user_id, event_type = excluded.event_type,
  payload = excluded.payload, created_at = excluded.created_at
WHERE (kept.workspace_id, kept.actor_user_id, kept.event_type, kept.payload, kept.created_at)
      IS DISTINCT FROM
      (excluded.workspace_id, excluded.actor_user_id, excluded.event_type, excluded.payload, excluded.created_at)
