SELECT (extract(epoch FROM clock_timestamp() - max(changed_at)) * 1000)::int8
FROM tidegate.subject WHERE run = $1 AND step = $2 AND state > 0
