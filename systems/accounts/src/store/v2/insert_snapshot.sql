-- The checksum is over the content as it is stored, so that anybody can ask for it again.
INSERT INTO pixbook_snapshots
  (id, pixbook_id, version, cipher_object_key, cipher_sha256, wrapped_dek, ledger_head, payload_json)
VALUES ($1, $2, $3, 'db:' || $1, encode(sha256(convert_to($5::jsonb::text, 'UTF8')), 'hex'), '', $4, $5)
