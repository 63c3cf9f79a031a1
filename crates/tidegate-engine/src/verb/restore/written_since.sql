-- A row holds 32 bits of its transaction's number: the newest number of 64 bits that ends in them and was given out.
NOT pg_catalog.pg_visible_in_snapshot(greatest(1,
    pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::int8
    - ((pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::int8 - w.xmin::text::int8) & 4294967295)
)::text::pg_catalog.xid8, $1::text::pg_catalog.pg_snapshot)
AND NOT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::int8
    - ((pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::int8 - w.xmin::text::int8) & 4294967295)
    = ANY ($2)
