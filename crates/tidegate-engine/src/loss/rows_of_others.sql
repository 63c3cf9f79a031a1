-- Rows written after $1, which held the table to itself; NULL: all. xmin has 32 bits: the newest full id that fits is meant.
WITH now AS (
    SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::int8 AS newest
)
SELECT count(*), :newest
FROM :table AS t, now,
    LATERAL (SELECT (now.newest & ~4294967295::int8) + t.xmin::text::int8 AS guess) AS x
WHERE ($1::int8 IS NULL OR x.guess - CASE WHEN x.guess > now.newest THEN 4294967296 ELSE 0 END > $1::int8)
  AND :with_value
