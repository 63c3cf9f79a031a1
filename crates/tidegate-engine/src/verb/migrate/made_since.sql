-- Whether the index $1 was made since step $3 of run $2 began, of those attempts that nothing ended.
WITH of_step AS (
    SELECT e.seq, e.xmin, e.body::jsonb -> 'event' ->> 'kind' AS kind FROM tidegate.event e
    WHERE e.run = $2 AND e.body::jsonb -> 'event' ->> 'step' = $3
), begun AS (
    SELECT s.xmin AS began FROM of_step s
    WHERE s.kind = 'step_started' AND s.seq > (SELECT coalesce(max(f.seq), 0) FROM of_step f WHERE f.kind = 'step_failed')
    ORDER BY s.seq LIMIT 1
)
SELECT age(c.xmin) < age(b.began) AS newer FROM pg_catalog.pg_class c, begun b WHERE c.oid = to_regclass($1)
