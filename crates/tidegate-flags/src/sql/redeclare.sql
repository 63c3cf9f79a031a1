UPDATE tidegate.flag_set
SET declared = $2, settled_at = COALESCE(settled_at, pg_catalog.clock_timestamp())
WHERE name = $1
