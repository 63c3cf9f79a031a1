-- A session, and an end for a few that have run out.
WITH over AS (
  DELETE FROM auth_sessions WHERE token_hash IN (
    SELECT token_hash FROM auth_sessions WHERE expires_at <= now() ORDER BY expires_at LIMIT 20 FOR UPDATE SKIP LOCKED
  )
)
INSERT INTO auth_sessions (token_hash, user_id, expires_at) VALUES ($1, $2, now() + make_interval(days => $3))
