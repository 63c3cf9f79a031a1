-- Rows of other transactions than $1, begun before $3 (NULL: whenever), but for those below $2, which had ended before $1 did; NULL: all. Ids grow in the
-- order of beginning: a transaction with a lower id than $1 may write after it. xmin has 32 bits: the newest full id
-- that fits is meant.
WITH now AS (
    SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::int8 AS newest
)
SELECT count(*), :newest
FROM :table AS t, now,
    LATERAL (SELECT (now.newest & ~4294967295::int8) + t.xmin::text::int8 AS guess) AS x,
    LATERAL (SELECT x.guess - CASE WHEN x.guess > now.newest THEN 4294967296 ELSE 0 END AS writer) AS w
WHERE ($1::int8 IS NULL OR w.writer <> $1::int8 AND ($2::int8 IS NULL OR w.writer >= $2::int8))
  AND ($3::int8 IS NULL OR w.writer < $3::int8)
  AND :with_value
