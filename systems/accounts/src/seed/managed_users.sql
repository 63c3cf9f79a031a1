-- One person in every account and a second in every third; every seventeenth first one is deleted.
INSERT INTO platform_managed_users
  (id, workspace_id, display_name, avatar_public_id, user_key, status, created_at, updated_at, profile_id,
   identity_public_key, identity_key_fingerprint)
SELECT 'managed-user_' || md5('mu' || i || '-' || n), 'ws_' || md5('ws' || i), 'Person ' || i || '.' || n,
       CASE WHEN i % 2 = 0 THEN 'avatar-' || i END, 'concord:profile-' || i || '-' || n || ':' || left(fingerprint, 24),
       CASE WHEN i % 17 = 0 AND n = 1 THEN 'deleted' ELSE 'active' END, at, at + (i % 31) * interval '1 day',
       'profile-' || i || '-' || n, key, fingerprint
FROM generate_series(1, $1) AS i
CROSS JOIN generate_series(1, 2) AS n
CROSS JOIN LATERAL (SELECT 'key-' || i || '-' || n, timestamptz '2024-01-02 00:00:00Z' + i * interval '37 seconds') AS k (key, at)
CROSS JOIN LATERAL (SELECT encode(sha256(convert_to(key, 'UTF8')), 'hex')) AS f (fingerprint)
WHERE n = 1 OR i % 3 = 0
ON CONFLICT DO NOTHING
