SELECT id, version, cipher_object_key, cipher_sha256, ledger_head, payload_json, created_at
FROM pixbook_snapshots
WHERE pixbook_id = $1
ORDER BY version DESC
LIMIT 1
