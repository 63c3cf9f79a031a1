-- Awaited are those from whose cursor a pull would go on: a position of this server, not behind the horizon. A blank one
-- is malformed, and left to the plan.
SELECT s.client_id, s.updated_at, s.last_reconciled_at, s.last_reconciled_change_id,
       btrim(s.last_reconciled_change_id) = ''
       OR CASE WHEN s.last_reconciled_change_id ~ '^[0-9]{4}-[0-9]{16}$'
               THEN substr(s.last_reconciled_change_id, 6)::bigint BETWEEN z.seq AND h.seq ELSE false END
FROM vfs_sync_client_state s, vfs_crdt_horizon z, vfs_feed_head h
WHERE starts_with(s.client_id, 'crdt:')
ORDER BY s.client_id COLLATE "C", s.user_id COLLATE "C"
