-- Databases of this server that were made for a rehearsal, with their mark.
SELECT pg_catalog.quote_ident(d.datname), pg_catalog.shobj_description(d.oid, 'pg_database')
FROM pg_catalog.pg_database d
WHERE pg_catalog.shobj_description(d.oid, 'pg_database') LIKE 'tidegate rehearsal of run %'
ORDER BY 1
