UPDATE tidegate.flag_set
SET row_name = $2, row_values = $3, lock_first = $4, epoch = epoch + 1, moved_at = pg_catalog.clock_timestamp(),
    moved_by = $5
WHERE name = $1
