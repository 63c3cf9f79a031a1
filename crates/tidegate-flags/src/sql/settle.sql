-- Never waits: whoever holds the row may wait for what this transaction holds.
UPDATE tidegate.flag_set
SET settled_at = pg_catalog.clock_timestamp()
WHERE name = (SELECT f.name FROM tidegate.flag_set AS f
              WHERE f.name = $1 AND f.settled_at IS NULL FOR NO KEY UPDATE SKIP LOCKED)
