CREATE TABLE platform_schema_migrations (
  id         text PRIMARY KEY,
  checksum   text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE platform_schema_migrations IS 'The migrations that were applied.';
COMMENT ON COLUMN platform_schema_migrations.id IS 'The name of the file.';
COMMENT ON COLUMN platform_schema_migrations.checksum IS 'SHA-256 of the file, in hexadecimal.';
COMMENT ON COLUMN platform_schema_migrations.applied_at IS 'When, by the server''s clock.';
