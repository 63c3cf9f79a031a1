-- What a member may do, in one order everywhere.
SELECT capability FROM platform_permissions WHERE member_id = $1 ORDER BY capability COLLATE "C"
