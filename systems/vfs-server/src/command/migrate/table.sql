-- One at a time: two programs that begin at once must not both make it.
SELECT pg_advisory_xact_lock(hashtextextended('vfs-server migrate', 0));
CREATE TABLE IF NOT EXISTS schema_migrations (
  version    integer PRIMARY KEY,
  applied_at timestamptz NOT NULL
);
COMMENT ON TABLE schema_migrations IS 'The migrations that were applied. Each file writes its own row.';
COMMENT ON COLUMN schema_migrations.version IS 'The number that the file''s name begins with.';
COMMENT ON COLUMN schema_migrations.applied_at IS 'When it was applied, by the server''s clock.';
