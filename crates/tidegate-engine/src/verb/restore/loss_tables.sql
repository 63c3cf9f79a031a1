SELECT n.nspname, c.relname, t.attname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT a.attname
    FROM pg_catalog.pg_attribute a
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      AND a.atttypid = 'pg_catalog.timestamptz'::pg_catalog.regtype
      AND (a.attname = 'created_at'
           OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) IN
              ('now()', 'CURRENT_TIMESTAMP', 'clock_timestamp()', 'statement_timestamp()', 'transaction_timestamp()'))
    ORDER BY a.attname = 'created_at' DESC, a.attnum
    LIMIT 1) AS t ON true
WHERE c.relkind = 'r'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'tidegate') AND n.nspname NOT LIKE 'pg\_%'
ORDER BY 1, 2
