-- One transaction at a time installs: CREATE … IF NOT EXISTS alone fails when two do it at once.
SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('tidegate flags install', 0));

DO $do$
BEGIN
    -- CREATE SCHEMA IF NOT EXISTS asks for a privilege on the database even where nothing is to be made.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'tidegate') THEN
        CREATE SCHEMA tidegate;
        COMMENT ON SCHEMA tidegate IS 'Lease, journal, evidence and flags of Tidegate. Not part of any backup.';
    END IF;
EXCEPTION WHEN duplicate_schema OR unique_violation THEN
    NULL;
END
$do$;

CREATE TABLE IF NOT EXISTS tidegate.flag_set (
    name         text PRIMARY KEY CHECK (name <> ''),
    columns      text[] NOT NULL,
    declared     text NOT NULL,
    row_name     text NOT NULL,
    row_values   boolean[] NOT NULL CHECK (cardinality(row_values) = cardinality(columns)),
    lock_first   text NOT NULL CHECK (lock_first IN ('old', 'new')),
    epoch        bigint NOT NULL CHECK (epoch > 0),
    installed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at   timestamptz,
    moved_at     timestamptz,
    moved_by     text
);
COMMENT ON TABLE tidegate.flag_set IS 'One row per flag set: what is legal, and which of its rows rules now.';
COMMENT ON COLUMN tidegate.flag_set.name IS 'The name that applications and runbooks know it by.';
COMMENT ON COLUMN tidegate.flag_set.columns IS 'Names of the flags, in the order of row_values. Never changed.';
COMMENT ON COLUMN tidegate.flag_set.declared IS 'JSON as text: the rows and moves of the last declaration.';
COMMENT ON COLUMN tidegate.flag_set.row_name IS 'The row that rules.';
COMMENT ON COLUMN tidegate.flag_set.row_values IS 'Its values, in the order of columns.';
COMMENT ON COLUMN tidegate.flag_set.lock_first IS 'The side whose row a dual write locks first: old or new.';
COMMENT ON COLUMN tidegate.flag_set.epoch IS 'Grows by one with every move; never decreases.';
COMMENT ON COLUMN tidegate.flag_set.installed_at IS 'When the set was declared first, by the server''s clock.';
COMMENT ON COLUMN tidegate.flag_set.settled_at IS 'A moment at which the first declaration was certainly committed. NULL: nobody has looked since.';
COMMENT ON COLUMN tidegate.flag_set.moved_at IS 'When the row was last moved or set. NULL: never.';
COMMENT ON COLUMN tidegate.flag_set.moved_by IS 'Who moved or set it. NULL: never moved.';

CREATE TABLE IF NOT EXISTS tidegate.flag_instance (
    flag_set      text NOT NULL REFERENCES tidegate.flag_set (name) ON DELETE CASCADE,
    instance      uuid NOT NULL,
    name          text NOT NULL,
    host          text NOT NULL,
    version       text NOT NULL,
    started_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    beat_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    lost_after_ms bigint NOT NULL CHECK (lost_after_ms > 0),
    seen_epoch    bigint NOT NULL CHECK (seen_epoch >= 0),
    drained_epoch bigint NOT NULL CHECK (drained_epoch >= 0),
    override      text,
    PRIMARY KEY (flag_set, instance)
);
COMMENT ON TABLE tidegate.flag_instance IS 'The running instances of applications that obey a flag set.';
COMMENT ON COLUMN tidegate.flag_instance.flag_set IS 'The set it obeys.';
COMMENT ON COLUMN tidegate.flag_instance.instance IS 'Drawn anew at every start of a process.';
COMMENT ON COLUMN tidegate.flag_instance.name IS 'What the instance calls itself.';
COMMENT ON COLUMN tidegate.flag_instance.host IS 'The host it runs on; empty: unknown.';
COMMENT ON COLUMN tidegate.flag_instance.version IS 'The version of the application.';
COMMENT ON COLUMN tidegate.flag_instance.started_at IS 'First sign of life, by the server''s clock.';
COMMENT ON COLUMN tidegate.flag_instance.beat_at IS 'Last sign of life that was written down, by the server''s clock.';
COMMENT ON COLUMN tidegate.flag_instance.lost_after_ms IS 'Milliseconds of silence after which the instance is gone; it refuses requests by itself before.';
COMMENT ON COLUMN tidegate.flag_instance.seen_epoch IS 'The epoch that new requests of it get. 0: none yet.';
COMMENT ON COLUMN tidegate.flag_instance.drained_epoch IS 'No request that is open got an older epoch than this. 0: none yet.';
COMMENT ON COLUMN tidegate.flag_instance.override IS 'How its environment contradicts the row. NULL: it does not.';

CREATE TABLE IF NOT EXISTS tidegate.flag_outbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    flag_set    text NOT NULL REFERENCES tidegate.flag_set (name) ON DELETE CASCADE,
    side        text NOT NULL CHECK (side IN ('old', 'new')),
    record      text NOT NULL,
    key         text NOT NULL,
    payload     text,
    epoch       bigint NOT NULL CHECK (epoch >= 0),
    enqueued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts    integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    tried_at    timestamptz,
    last_error  text
);
CREATE INDEX IF NOT EXISTS flag_outbox_key ON tidegate.flag_outbox (flag_set, record, key, id);
COMMENT ON TABLE tidegate.flag_outbox IS 'Writes that the other side has not got yet; a row is removed once it has.';
COMMENT ON COLUMN tidegate.flag_outbox.id IS 'Grows in commit order for each key.';
COMMENT ON COLUMN tidegate.flag_outbox.flag_set IS 'The set under which it was written.';
COMMENT ON COLUMN tidegate.flag_outbox.side IS 'The side that has yet to get it: old or new.';
COMMENT ON COLUMN tidegate.flag_outbox.record IS 'What kind of record it is, such as a table''s name.';
COMMENT ON COLUMN tidegate.flag_outbox.key IS 'The record''s key as text.';
COMMENT ON COLUMN tidegate.flag_outbox.payload IS 'The whole record as text after the write. NULL: the record is gone.';
COMMENT ON COLUMN tidegate.flag_outbox.epoch IS 'The epoch under which it was written. 0: under the environment.';
COMMENT ON COLUMN tidegate.flag_outbox.enqueued_at IS 'When it was written, by the server''s clock.';
COMMENT ON COLUMN tidegate.flag_outbox.attempts IS 'How often the other side refused it.';
COMMENT ON COLUMN tidegate.flag_outbox.tried_at IS 'When it was refused last. NULL: never.';
COMMENT ON COLUMN tidegate.flag_outbox.last_error IS 'Why. NULL: never refused.';

CREATE TABLE IF NOT EXISTS tidegate.flag_applied (
    source     text NOT NULL,
    record     text NOT NULL,
    key        text NOT NULL,
    id         bigint NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, record, key)
);
COMMENT ON TABLE tidegate.flag_applied IS 'What this database got from the outbox of another one: a second delivery finds it here.';
COMMENT ON COLUMN tidegate.flag_applied.source IS 'The name of the outbox: set and database it came from.';
COMMENT ON COLUMN tidegate.flag_applied.record IS 'The kind of record.';
COMMENT ON COLUMN tidegate.flag_applied.key IS 'Its key as text.';
COMMENT ON COLUMN tidegate.flag_applied.id IS 'The newest outbox id that was applied to it.';
COMMENT ON COLUMN tidegate.flag_applied.applied_at IS 'When, by this server''s clock.';
