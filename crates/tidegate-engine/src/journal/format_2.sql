-- Format 2: what backfills have copied.
CREATE TABLE tidegate.backfill (
    run        uuid NOT NULL,
    step       text NOT NULL,
    source     text NOT NULL,
    meaning    bytea NOT NULL CHECK (octet_length(meaning) = 32),
    upto_key   text[],
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run, step)
);
COMMENT ON TABLE tidegate.backfill IS 'Backfills that have begun, each with the end that was fixed for it then.';
COMMENT ON COLUMN tidegate.backfill.run IS 'The run.';
COMMENT ON COLUMN tidegate.backfill.step IS 'The step.';
COMMENT ON COLUMN tidegate.backfill.source IS 'The qualified source.';
COMMENT ON COLUMN tidegate.backfill.meaning IS 'Digest of what the step meant: with another meaning its chunks count no longer.';
COMMENT ON COLUMN tidegate.backfill.upto_key IS 'The greatest key when it began, in text: rows above it come by mirrored writes. NULL: the source was empty.';
COMMENT ON COLUMN tidegate.backfill.started_at IS 'When, by the server''s clock.';

CREATE TABLE tidegate.chunk (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run        uuid NOT NULL,
    step       text NOT NULL,
    after_key  text[],
    upto_key   text[] NOT NULL,
    written    bigint NOT NULL CHECK (written >= 0),
    took_ms    bigint NOT NULL CHECK (took_ms >= 0),
    done_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX chunk_step ON tidegate.chunk (run, step);
COMMENT ON TABLE tidegate.chunk IS 'Ranges of a source that were copied, each written in the transaction that copied it.';
COMMENT ON COLUMN tidegate.chunk.id IS 'In no order that means anything: chunks are copied side by side.';
COMMENT ON COLUMN tidegate.chunk.run IS 'The run.';
COMMENT ON COLUMN tidegate.chunk.step IS 'The step.';
COMMENT ON COLUMN tidegate.chunk.after_key IS 'The key before the first, in text. NULL: from the beginning.';
COMMENT ON COLUMN tidegate.chunk.upto_key IS 'The last key, in text.';
COMMENT ON COLUMN tidegate.chunk.written IS 'Rows that the statement wrote.';
COMMENT ON COLUMN tidegate.chunk.took_ms IS 'Milliseconds that the statement took.';
COMMENT ON COLUMN tidegate.chunk.done_at IS 'When, by the server''s clock.';

CREATE TABLE tidegate.refused (
    run      uuid NOT NULL,
    step     text NOT NULL,
    key      text[] NOT NULL,
    sqlstate text NOT NULL,
    message  text NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run, step, key)
);
COMMENT ON TABLE tidegate.refused IS 'Rows that a backfill''s target refused. They block its completion.';
COMMENT ON COLUMN tidegate.refused.run IS 'The run.';
COMMENT ON COLUMN tidegate.refused.step IS 'The step.';
COMMENT ON COLUMN tidegate.refused.key IS 'The source row''s key, in text.';
COMMENT ON COLUMN tidegate.refused.sqlstate IS 'What the server said.';
COMMENT ON COLUMN tidegate.refused.message IS 'What the server said, in words.';
COMMENT ON COLUMN tidegate.refused.at IS 'When, by the server''s clock.';

UPDATE tidegate.format SET version = 2;
