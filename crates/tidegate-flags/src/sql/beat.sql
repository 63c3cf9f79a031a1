SELECT b.epoch, b.row_name, b.row_values, b.lock_first, b.columns, b.beat_age_ms
FROM pg_catalog.set_config('synchronous_commit', 'off', true) AS unhurried,
     LATERAL tidegate.flag_beat($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS b
