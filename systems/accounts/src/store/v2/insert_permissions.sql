INSERT INTO account_permissions (id, member_id, capability)
SELECT grants.id, $1, grants.capability FROM unnest($2::text[], $3::text[]) AS grants (id, capability)
