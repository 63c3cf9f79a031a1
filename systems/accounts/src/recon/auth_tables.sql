SELECT table_name::text
FROM information_schema.tables
WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
  AND (table_name LIKE 'auth\_%' OR table_name IN ('user', 'session', 'account', 'verification', 'passkey'))
ORDER BY table_name
