INSERT INTO tidegate.seal (relation, name, run, step, expires_at)
VALUES ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5))
ON CONFLICT (relation) DO UPDATE
SET name = excluded.name, run = excluded.run, step = excluded.step, sealed_at = clock_timestamp(), expires_at = excluded.expires_at
