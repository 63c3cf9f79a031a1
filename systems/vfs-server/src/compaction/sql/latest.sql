SELECT clock_timestamp(), last.occurred_at, last.id
FROM (VALUES (true)) AS one
LEFT JOIN LATERAL (
    SELECT occurred_at, id FROM vfs_crdt_ops ORDER BY occurred_at DESC, id COLLATE "C" DESC LIMIT 1
) AS last ON true
