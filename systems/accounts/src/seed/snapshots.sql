-- Every saved state up to the book's version.
INSERT INTO platform_book_snapshots
  (id, book_id, version, cipher_object_key, cipher_sha256, wrapped_dek, ledger_head, created_at, payload_json)
SELECT s.id, b.id, v, 'db:' || s.id, encode(sha256(convert_to(p.payload::text, 'UTF8')), 'hex'), '', md5(b.id || v),
       b.created_at + v * interval '1 hour', p.payload
FROM generate_series(1, $1) AS i
CROSS JOIN generate_series(1, 2) AS n
JOIN platform_books b ON b.managed_user_id = 'managed-user_' || md5('mu' || i || '-' || n)
CROSS JOIN LATERAL generate_series(1, b.current_version) AS v
CROSS JOIN LATERAL (SELECT 'snapshot_' || md5(b.id || '-' || v)) AS s (id)
CROSS JOIN LATERAL (SELECT jsonb_build_object('pages', v, 'title', b.name, 'owner', i)) AS p (payload)
ON CONFLICT DO NOTHING
