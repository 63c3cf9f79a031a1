INSERT INTO audit_events (id, account_id, actor_user_id, event_type, payload)
VALUES ($1, $2, $3, $4, $5)
