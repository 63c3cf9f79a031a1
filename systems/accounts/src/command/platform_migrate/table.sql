-- One at a time: two programs that begin at once must not both make it.
SELECT pg_advisory_xact_lock(hashtextextended('accounts platform-migrate', 0));
CREATE TABLE IF NOT EXISTS platform_schema_migrations (
  id         text PRIMARY KEY,
  checksum   text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE platform_schema_migrations IS 'The migrations that were applied.';
COMMENT ON COLUMN platform_schema_migrations.id IS 'The file''s base name.';
COMMENT ON COLUMN platform_schema_migrations.checksum IS 'SHA-256 of the file, in hexadecimal.';
COMMENT ON COLUMN platform_schema_migrations.applied_at IS 'When it was applied, by the server''s clock.';
