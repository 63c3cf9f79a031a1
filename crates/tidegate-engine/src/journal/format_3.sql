-- Format 3: what became of each subject of a cohort.
CREATE TABLE tidegate.subject (
    run        uuid NOT NULL,
    step       text NOT NULL,
    subject    bytea NOT NULL CHECK (octet_length(subject) = 32),
    ordinal    bigint NOT NULL CHECK (ordinal > 0),
    cells      text NOT NULL,
    state      smallint NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 3),
    tries      integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
    detail     text,
    kept       text NOT NULL DEFAULT '[]',
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run, step, subject)
);
COMMENT ON TABLE tidegate.subject IS 'Rows that a command is done for, one by one, in waves.';
COMMENT ON COLUMN tidegate.subject.run IS 'The run.';
COMMENT ON COLUMN tidegate.subject.step IS 'The step.';
COMMENT ON COLUMN tidegate.subject.subject IS 'SHA-256 of cells: a subject is known again by what its row says.';
COMMENT ON COLUMN tidegate.subject.ordinal IS 'Place in the cohort, from 1.';
COMMENT ON COLUMN tidegate.subject.cells IS 'JSON: the row''s texts, in order of its columns.';
COMMENT ON COLUMN tidegate.subject.state IS '0 waiting, 1 begun, 2 done, 3 failed. One that is begun and not done is done again.';
COMMENT ON COLUMN tidegate.subject.tries IS 'How often it was begun.';
COMMENT ON COLUMN tidegate.subject.detail IS 'Why it failed. NULL: it did not.';
COMMENT ON COLUMN tidegate.subject.kept IS 'JSON: what was kept of the answer.';
COMMENT ON COLUMN tidegate.subject.changed_at IS 'When it came into this state, by the server''s clock.';

UPDATE tidegate.format SET version = 3;
