-- Tables that refuse writes or are put away now, with who did it. Expired seals refuse nothing.
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS "table", n.nspname AS schema, c.relname AS name,
    n.nspname = 'tidegate_retired' AS retired, s.run, s.step, pg_catalog.to_char(s.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS expires_at
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN tidegate.seal s ON s.relation = c.oid AND coalesce(s.expires_at > clock_timestamp(), true)
WHERE (s.relation IS NOT NULL AND EXISTS (
        SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'tidegate_seal' AND t.tgenabled IN ('O', 'A')
    ))
   OR (n.nspname = 'tidegate_retired' AND c.relkind IN ('r', 'p'))
ORDER BY retired, 1
