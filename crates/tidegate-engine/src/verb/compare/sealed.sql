-- Those of the tables that this run has not kept sealed since before a time, or that were written through their seal.
SELECT t.name
FROM unnest($1) AS t (name)
WHERE NOT EXISTS (
    SELECT FROM tidegate.seal s JOIN pg_catalog.pg_trigger g ON g.tgrelid = s.relation
    WHERE s.relation = to_regclass(t.name) AND s.run = $2 AND s.sealed_at < $3::timestamptz
      AND g.tgname = 'tidegate_seal' AND g.tgenabled IN ('O', 'A')
      AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp())
      AND NOT EXISTS (
          SELECT FROM tidegate.seal_stray y
          WHERE y.relation = s.relation AND y.at >= s.sealed_at AND (y.kind <> 'DELETE' OR $4)
      )
)
ORDER BY 1
