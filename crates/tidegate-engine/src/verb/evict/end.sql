-- Ends a session under the fence; no row if the lease is another's. A session that ended by itself counts as ended.
WITH fence AS MATERIALIZED (SELECT FROM tidegate.lease WHERE id AND epoch = $3 FOR KEY SHARE)
SELECT pg_catalog.pg_terminate_backend($1, $2)
    OR NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_activity a WHERE a.pid = $1)
FROM fence
