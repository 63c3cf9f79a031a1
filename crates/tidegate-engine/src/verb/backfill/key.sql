-- The types of the named columns of a table, in the given order, and whether a unique index makes them a key.
SELECT array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) ORDER BY k.place) AS types,
    EXISTS (
        SELECT FROM pg_catalog.pg_index i
        WHERE i.indrelid = $1::text::regclass AND i.indisunique AND i.indisvalid AND i.indimmediate
          AND i.indpred IS NULL AND i.indexprs IS NULL
          AND (
              SELECT array_agg(b.attname::text ORDER BY b.attname) FILTER (WHERE b.attnotnull)
              FROM unnest(i.indkey[0:i.indnkeyatts - 1]) AS u (number)
              JOIN pg_catalog.pg_attribute b ON b.attrelid = i.indrelid AND b.attnum = u.number
          ) = (SELECT array_agg(n ORDER BY n) FROM unnest($2) AS n)
    ) AS is_unique
FROM unnest($2) WITH ORDINALITY AS k (name, place)
LEFT JOIN pg_catalog.pg_attribute a
    ON a.attrelid = $1::text::regclass AND a.attname = k.name AND a.attnum > 0 AND NOT a.attisdropped
