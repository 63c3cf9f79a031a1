-- Unique indexes of a table that all of its rows obey, whose columns are never NULL and all among the given ones.
SELECT i.indexrelid
FROM pg_catalog.pg_index i
WHERE i.indrelid = $1::text::regclass AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indpred IS NULL AND i.indexprs IS NULL
  AND NOT EXISTS (
      SELECT FROM unnest(i.indkey[0:i.indnkeyatts - 1]) AS k (number)
      LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
      WHERE a.attnotnull IS NOT TRUE OR a.attname <> ALL ($2)
  )
LIMIT 1
