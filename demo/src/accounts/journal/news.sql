SELECT seq, body::jsonb -> 'event' FROM tidegate.event WHERE seq > $1 ORDER BY seq LIMIT 1000
