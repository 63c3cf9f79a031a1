INSERT INTO platform_audit_events (id, workspace_id, actor_user_id, event_type, payload)
VALUES ($1, $2, $3, $4, $5)
