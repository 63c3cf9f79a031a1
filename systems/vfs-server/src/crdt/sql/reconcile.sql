INSERT INTO vfs_sync_client_state AS s
    (user_id, client_id, last_reconciled_at, last_reconciled_change_id, last_reconciled_write_ids, updated_at)
VALUES ($1, $2, $3, $4, $5, clock_timestamp())
ON CONFLICT (user_id, client_id) DO UPDATE SET
    (last_reconciled_at, last_reconciled_change_id) = (
        SELECT at, id
        FROM (VALUES (date_trunc('milliseconds', s.last_reconciled_at), s.last_reconciled_change_id),
                     (EXCLUDED.last_reconciled_at, EXCLUDED.last_reconciled_change_id)) AS either (at, id)
        ORDER BY at DESC, id COLLATE "C" DESC
        LIMIT 1),
    -- No more than a client takes: its own, those that it named, then the others.
    last_reconciled_write_ids = (
        SELECT coalesce(jsonb_object_agg(key, value), '{}')
        FROM (SELECT key, value
              FROM jsonb_each(
                  vfs_merge_reconciled_write_ids(s.last_reconciled_write_ids, EXCLUDED.last_reconciled_write_ids))
              ORDER BY key = $6 DESC, jsonb_exists(EXCLUDED.last_reconciled_write_ids, key) DESC, key COLLATE "C"
              LIMIT $7) AS kept),
    updated_at = EXCLUDED.updated_at
RETURNING last_reconciled_at, last_reconciled_change_id, last_reconciled_write_ids
