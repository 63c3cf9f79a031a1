SELECT pg_catalog.pg_current_xact_id()::text::int8 FROM tidegate.lease WHERE id AND epoch = $1 FOR KEY SHARE
