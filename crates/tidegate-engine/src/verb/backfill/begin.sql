-- Behind the fence: whoever lost the lease fixes nothing.
INSERT INTO tidegate.backfill (run, step, source, upto_key, meaning)
SELECT $1, $2, $3, $4, $6 FROM tidegate.lease WHERE id AND epoch = $5
ON CONFLICT DO NOTHING
