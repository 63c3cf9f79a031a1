-- What an owner is given at first, less one that was revoked in every thirteenth account; what a member is given, and
-- one more that was granted by hand in every tenth account. The members are known without being looked for.
INSERT INTO platform_permissions (id, member_id, capability, created_at)
SELECT 'perm_' || md5(m.id || c.capability), m.id, c.capability, m.at
FROM generate_series(1, $1) AS i
CROSS JOIN LATERAL (SELECT 'member_' || md5('owner' || i), timestamptz '2024-01-01 00:00:00Z' + i * interval '37 seconds') AS m (id, at)
CROSS JOIN (VALUES
  ('platform.account.manage'), ('platform.workspace.manage'), ('pixpax.admin.manage'), ('pixpax.analytics.read'),
  ('pixpax.creator.publish'), ('pixpax.creator.view')) AS c (capability)
WHERE i % 13 <> 0 OR c.capability <> 'pixpax.creator.publish'
UNION ALL
SELECT 'perm_' || md5(m.id || c.capability), m.id, c.capability, m.at
FROM generate_series(1, $1) AS i
CROSS JOIN LATERAL (SELECT 'member_' || md5('member' || i), timestamptz '2025-01-01 00:00:00Z' + i * interval '11 seconds') AS m (id, at)
CROSS JOIN (VALUES ('pixpax.analytics.read'), ('pixpax.creator.view'), ('platform.account.manage')) AS c (capability)
WHERE i % 5 = 0 AND (i % 10 = 0 OR c.capability <> 'platform.account.manage')
ON CONFLICT DO NOTHING
