-- Every seal with what is left of its table and trigger. "table" is NULL if the table is gone, enabled if the trigger is.
SELECT s.relation, s.name, s.run, s.step,
    CASE WHEN c.oid IS NOT NULL THEN pg_catalog.format('%I.%I', n.nspname, c.relname) END AS "table",
    t.tgenabled::text AS enabled,
    coalesce(s.expires_at <= clock_timestamp(), false) AS expired,
    coalesce(n.nspname = 'tidegate_retired', false) AS retired
FROM tidegate.seal s
LEFT JOIN pg_catalog.pg_class c ON c.oid = s.relation
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_trigger t ON t.tgrelid = s.relation AND t.tgname = 'tidegate_seal'
ORDER BY 2
