-- $1: type oids, $2: type modifiers, both separated by commas and in the same order.
SELECT pg_catalog.format_type(t.oid::pg_catalog.oid, t.modifier::pg_catalog.int4)
FROM ROWS FROM (
    pg_catalog.string_to_table(NULLIF($1, ''), ','),
    pg_catalog.string_to_table(NULLIF($2, ''), ',')
) WITH ORDINALITY AS t (oid, modifier, ordinal)
ORDER BY t.ordinal
