-- The note and its rows are one commit: a server that loses the one in a crash loses the other. So nobody waits for the
-- disk here. The journal's own commits wait, and what was committed before them is then on the disk, too.
INSERT INTO tidegate.chunk (run, step, after_key, upto_key, written, took_ms)
SELECT $1, $2, $3, $4, $5, $6 FROM pg_catalog.set_config('synchronous_commit', 'off', true) AS unhurried
