-- Names of objects given by catalog, row and column; catalog -1 is that of columns.
SELECT o.class::regclass::text AS catalog, o.object::oid AS oid, o.sub, i.type AS kind, i.identity
FROM (
    SELECT CASE WHEN given.class = -1 THEN 'pg_class'::regclass::oid ELSE given.class::oid END AS class, given.object, given.sub
    FROM unnest($1::int8[], $2::int8[], $3::int4[]) AS given (class, object, sub)
) AS o, LATERAL pg_catalog.pg_identify_object(o.class, o.object::oid, o.sub) AS i
WHERE i.identity IS NOT NULL
ORDER BY 1, 5
