SELECT book_id, version, payload_json ->> 'tag'
FROM platform_book_snapshots
WHERE book_id = ANY ($1)
ORDER BY book_id, version
