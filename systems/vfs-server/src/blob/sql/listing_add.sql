INSERT INTO blob_listing (id, size_bytes, modified_at)
SELECT id, size_bytes, to_timestamp(modified_s)
FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS listed (id, size_bytes, modified_s)
ON CONFLICT (id) DO NOTHING
