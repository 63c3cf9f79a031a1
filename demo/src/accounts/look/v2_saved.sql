SELECT pixbook_id, version, payload_json ->> 'tag'
FROM pixbook_snapshots
WHERE pixbook_id = ANY ($1)
ORDER BY pixbook_id, version
