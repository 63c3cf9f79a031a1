WITH lifted AS (
    DELETE FROM tidegate.seal s
    WHERE s.run = $1 OR NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = s.relation)
    RETURNING s.relation
), forgotten AS (
    DELETE FROM tidegate.seal_stray s WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = s.relation)
)
SELECT relation FROM lifted
