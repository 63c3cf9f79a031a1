INSERT INTO vfs_blob_ref_choices (blob_id, item_id, relation_kind, chosen_by, reason)
SELECT blob_id, item_id, relation_kind, $4, $5
FROM vfs_blob_refs
WHERE blob_id = $1 AND item_id = $2 AND relation_kind = $3
ON CONFLICT (blob_id, item_id) DO UPDATE SET
  relation_kind = excluded.relation_kind, chosen_by = excluded.chosen_by, reason = excluded.reason, chosen_at = now()
