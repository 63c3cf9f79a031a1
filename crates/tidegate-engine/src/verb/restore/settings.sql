SELECT s.name, pg_catalog.current_setting(s.name)
FROM pg_catalog.pg_settings s
WHERE s.context IN ('user', 'superuser')
  AND s.name NOT LIKE 'transaction\_%' AND s.name NOT IN ('application_name', 'role', 'session_authorization', 'is_superuser')
