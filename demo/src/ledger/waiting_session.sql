-- The server process that waits for somebody's lock on the lots.
SELECT wanted.pid FROM pg_locks AS wanted
WHERE NOT wanted.granted AND wanted.relation = to_regclass('public.credit_lots')
LIMIT 1
