WITH appended AS (
    INSERT INTO tidegate.event (seq, run, body, hash)
    SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::bytea[])
)
UPDATE tidegate.head SET seq = $5, hash = $6 WHERE id AND seq = $7 AND hash = $8
