-- The column that tells when a row was made: a timestamp with a default of the current time, created_at before others.
SELECT a.attname
FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
  AND a.atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype)
  AND (a.attname IN ('created_at', 'updated_at', 'inserted_at')
       OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) ~* '(now\(|current_timestamp|clock_timestamp|transaction_timestamp)')
ORDER BY a.attname <> 'created_at', a.attnum
LIMIT 1
