-- Triggers of a table that a client's statement fires, but for those of foreign keys and of seals.
SELECT format('%s %s calls %s', t.tgname, CASE WHEN t.tgtype::int & 1 = 1 THEN 'for each row' ELSE 'for each statement' END, t.tgfoid::regproc)
FROM pg_catalog.pg_trigger t
WHERE t.tgrelid = to_regclass($1) AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgname NOT LIKE 'tidegate\_seal%'
ORDER BY 1
LIMIT 50
