SELECT c.user_id, c.email, coalesce(c.name, '')
FROM auth_sessions s
JOIN auth_credentials c USING (user_id)
WHERE s.token_hash = $1 AND s.expires_at > now()
