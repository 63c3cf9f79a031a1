CREATE TABLE public.tidegate_version (
    version    text PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    run        uuid NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE public.tidegate_version IS 'Migrations applied to this database. Data of the database: dumped and restored with it.';
COMMENT ON COLUMN public.tidegate_version.version IS 'The number as the runbook writes it.';
COMMENT ON COLUMN public.tidegate_version.name IS 'The file''s or step''s name when it was applied.';
COMMENT ON COLUMN public.tidegate_version.checksum IS 'SHA-256 over the statements'' tokens without comments, hexadecimal.';
COMMENT ON COLUMN public.tidegate_version.run IS 'The run that applied it.';
COMMENT ON COLUMN public.tidegate_version.applied_at IS 'When, by the server''s clock.'
