WITH noted AS (
    INSERT INTO tidegate.refused (run, step, key, sqlstate, message) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (run, step, key) DO UPDATE SET sqlstate = excluded.sqlstate, message = excluded.message, at = clock_timestamp()
    RETURNING 1
)
SELECT (SELECT count(*) FROM noted) + (SELECT count(*) FROM tidegate.refused WHERE run = $1 AND step = $2 AND key <> $3)
