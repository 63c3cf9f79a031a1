-- Tables with a seal's trigger and without a seal.
SELECT DISTINCT pg_catalog.format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE t.tgname IN ('tidegate_seal', 'tidegate_seal_stray') AND NOT t.tgisinternal
  AND NOT EXISTS (SELECT FROM tidegate.seal s WHERE s.relation = t.tgrelid)
ORDER BY 1
