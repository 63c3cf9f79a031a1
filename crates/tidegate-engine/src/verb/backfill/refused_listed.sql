SELECT key, message, count(*) OVER () AS count
FROM tidegate.refused WHERE run = $1 AND step = $2
ORDER BY key
LIMIT $3
