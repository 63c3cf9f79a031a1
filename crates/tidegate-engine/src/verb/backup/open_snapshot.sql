SELECT pg_catalog.pg_export_snapshot(), pg_catalog.pg_current_snapshot()::text, pg_catalog.to_regnamespace('public') IS NOT NULL
