INSERT INTO vfs_client_guardrails AS known (user_id, signature, violations, newest_client_id, newest_at)
VALUES ($1, $2, $3, $4, clock_timestamp())
ON CONFLICT (user_id, signature) DO UPDATE
SET violations = least(known.violations + EXCLUDED.violations, 9000000000000000000 - EXCLUDED.violations),
    newest_client_id = EXCLUDED.newest_client_id, newest_at = EXCLUDED.newest_at
