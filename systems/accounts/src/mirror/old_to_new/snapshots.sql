-- Rows by their ids, as they are in platform_book_snapshots; what is not there goes. Deleted rows come first: they make room.
WITH gone AS (
  DELETE FROM pixbook_snapshots WHERE id = ANY ($1) AND id NOT IN (SELECT id FROM platform_book_snapshots WHERE id = ANY ($1))
)
INSERT INTO pixbook_snapshots AS kept
  (id, pixbook_id, version, cipher_object_key, cipher_sha256, wrapped_dek, ledger_head, payload_json, created_at)
SELECT id, book_id, version, cipher_object_key, cipher_sha256, wrapped_dek, ledger_head, payload_json,
       created_at
FROM platform_book_snapshots
WHERE id = ANY ($1)
ORDER BY id
ON CONFLICT (id) DO UPDATE SET
  pixbook_id = excluded.pixbook_id, version = excluded.version, cipher_object_key = excluded.cipher_object_key,
  cipher_sha256 = excluded.cipher_sha256, wrapped_dek = excluded.wrapped_dek, ledger_head = excluded.ledger_head,
  payload_json = excluded.payload_json, created_at = excluded.created_at
WHERE (kept.pixbook_id, kept.version, kept.cipher_object_key, kept.cipher_sha256, kept.wrapped_dek,
       kept.ledger_head, kept.payload_json, kept.created_at)
      IS DISTINCT FROM
      (excluded.pixbook_id, excluded.version, excluded.cipher_object_key, excluded.cipher_sha256,
       excluded.wrapped_dek, excluded.ledger_head, excluded.payload_json, excluded.created_at)
