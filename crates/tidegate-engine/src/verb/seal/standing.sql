SELECT count(*)
FROM tidegate.seal s JOIN pg_catalog.pg_trigger t ON t.tgrelid = s.relation
WHERE s.run = $1 AND s.step = $2 AND t.tgname = 'tidegate_seal' AND t.tgenabled IN ('O', 'A')
  AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp())
