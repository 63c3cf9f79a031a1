INSERT INTO public.circuit_breakers AS breaker (community_id, drift_micro, limit_micro)
VALUES ($1, $2, $3)
ON CONFLICT (community_id) DO UPDATE
SET tripped_at = CASE WHEN breaker.reset_at IS NULL THEN breaker.tripped_at ELSE clock_timestamp() END,
    drift_micro = EXCLUDED.drift_micro, limit_micro = EXCLUDED.limit_micro, reset_at = NULL, reset_by = NULL
