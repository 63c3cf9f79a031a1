SELECT pg_catalog.ceil(pg_catalog.date_part('epoch', COALESCE(settled_at, pg_catalog.clock_timestamp())
           + $2 * interval '1 millisecond' - pg_catalog.clock_timestamp()) * 1000)::pg_catalog.int8
FROM tidegate.flag_set
WHERE name = $1 AND epoch > 1
