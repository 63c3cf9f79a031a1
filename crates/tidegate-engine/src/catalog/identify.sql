SELECT o.class::oid::regclass::text AS catalog, o.object::oid AS oid, o.sub, i.type AS kind, i.identity
FROM unnest($1::int8[], $2::int8[], $3::int4[]) AS o (class, object, sub),
     LATERAL pg_catalog.pg_identify_object(o.class::oid, o.object::oid, o.sub) AS i
WHERE i.identity IS NOT NULL
ORDER BY 1, 5
