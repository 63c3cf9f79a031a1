-- The journal's own schema. Never part of a backup (pg_dump -N tidegate) and never touched by a restore.
-- Whoever makes things in this schema first waits for the other: IF NOT EXISTS alone fails when two do it at once.
SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('tidegate flags install', 0));
CREATE SCHEMA IF NOT EXISTS tidegate;
COMMENT ON SCHEMA tidegate IS 'Lease, journal and evidence of Tidegate runs. Not part of any backup.';

CREATE TABLE IF NOT EXISTS tidegate.format (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    version integer NOT NULL
);
COMMENT ON TABLE tidegate.format IS 'One row: which version of this schema stands here.';
COMMENT ON COLUMN tidegate.format.one IS 'Always true: there is one row.';
COMMENT ON COLUMN tidegate.format.version IS 'A program refuses to write a format newer than it knows.';

CREATE TABLE IF NOT EXISTS tidegate.lease (
    id           boolean PRIMARY KEY DEFAULT true CHECK (id),
    epoch        bigint NOT NULL CHECK (epoch >= 0),
    holder       text,
    host         text,
    boot         text,
    pid          integer,
    pid_started  text,
    acquired_at  timestamptz,
    heartbeat_at timestamptz,
    expires_at   timestamptz,
    UNIQUE (id, epoch)
);
COMMENT ON TABLE tidegate.lease IS 'Who may change this store. Every step transaction locks (id, epoch) FOR KEY SHARE first: the fence.';
COMMENT ON COLUMN tidegate.lease.id IS 'Always true: there is one lease.';
COMMENT ON COLUMN tidegate.lease.epoch IS 'Grows with every taking; never decreases.';
COMMENT ON COLUMN tidegate.lease.holder IS 'The actor that holds it. NULL: free.';
COMMENT ON COLUMN tidegate.lease.host IS 'The host name of the holder. NULL: free.';
COMMENT ON COLUMN tidegate.lease.boot IS 'The boot id of the holder''s host, to tell whether its pid can be asked. NULL: unknown.';
COMMENT ON COLUMN tidegate.lease.pid IS 'The process id of the holder. NULL: free.';
COMMENT ON COLUMN tidegate.lease.pid_started IS 'Start time of that process in clock ticks since boot, so that a reused pid is told apart. NULL: unknown.';
COMMENT ON COLUMN tidegate.lease.acquired_at IS 'When this epoch began, by the server''s clock. NULL: never taken.';
COMMENT ON COLUMN tidegate.lease.heartbeat_at IS 'Last sign of life, by the server''s clock. NULL: never taken.';
COMMENT ON COLUMN tidegate.lease.expires_at IS 'From then on another may take it, by the server''s clock. NULL: free.';

CREATE TABLE IF NOT EXISTS tidegate.head (
    id   boolean PRIMARY KEY DEFAULT true CHECK (id),
    seq  bigint NOT NULL CHECK (seq >= 0),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32)
);
COMMENT ON TABLE tidegate.head IS 'One row: the newest event. Advanced last in every transaction, so that numbers are gapless in commit order.';
COMMENT ON COLUMN tidegate.head.id IS 'Always true: there is one head.';
COMMENT ON COLUMN tidegate.head.seq IS 'Number of the newest event; 0: none yet.';
COMMENT ON COLUMN tidegate.head.hash IS 'SHA-256 of the newest event; 32 zero bytes: none yet.';

CREATE TABLE IF NOT EXISTS tidegate.plan (
    digest  bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    sources text NOT NULL
);
COMMENT ON TABLE tidegate.plan IS 'The texts that runs were started or amended with.';
COMMENT ON COLUMN tidegate.plan.digest IS 'SHA-256 of sources.';
COMMENT ON COLUMN tidegate.plan.sources IS 'JSON: the page and every file it names, as they were.';

CREATE TABLE IF NOT EXISTS tidegate.event (
    seq   bigint PRIMARY KEY CHECK (seq > 0),
    run   uuid NOT NULL,
    body  text NOT NULL,
    hash  bytea NOT NULL CHECK (octet_length(hash) = 32)
);
CREATE INDEX IF NOT EXISTS event_run ON tidegate.event (run, seq);
COMMENT ON TABLE tidegate.event IS 'What happened, append-only.';
COMMENT ON COLUMN tidegate.event.seq IS 'Gapless from 1 in commit order.';
COMMENT ON COLUMN tidegate.event.run IS 'The run it belongs to.';
COMMENT ON COLUMN tidegate.event.body IS 'JSON as text: the hash is over these bytes, which jsonb would not keep.';
COMMENT ON COLUMN tidegate.event.hash IS 'SHA-256 over the hash before, seq as 8 bytes big endian, and body.';

CREATE TABLE IF NOT EXISTS tidegate.request (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    db_role   text NOT NULL DEFAULT session_user,
    body      text NOT NULL,
    taken_seq bigint
);
COMMENT ON TABLE tidegate.request IS 'What other processes ask of the holder: approve, stop, pause, resume.';
COMMENT ON COLUMN tidegate.request.id IS 'In order of asking.';
COMMENT ON COLUMN tidegate.request.at IS 'When it was asked, by the server''s clock.';
COMMENT ON COLUMN tidegate.request.db_role IS 'The database role that asked.';
COMMENT ON COLUMN tidegate.request.body IS 'JSON as text.';
COMMENT ON COLUMN tidegate.request.taken_seq IS 'The event that answered it. NULL: not yet taken.';

CREATE TABLE IF NOT EXISTS tidegate.evidence (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    body   text NOT NULL
);
COMMENT ON TABLE tidegate.evidence IS 'Rows that steps were told to keep. May be deleted: the journal holds the digest.';
COMMENT ON COLUMN tidegate.evidence.digest IS 'SHA-256 of body.';
COMMENT ON COLUMN tidegate.evidence.body IS 'JSON as text.';

CREATE TABLE IF NOT EXISTS tidegate.seal (
    relation   oid PRIMARY KEY,
    name       text NOT NULL,
    run        uuid NOT NULL,
    step       text NOT NULL,
    sealed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz
);
COMMENT ON TABLE tidegate.seal IS 'Tables that refuse direct writes now.';
COMMENT ON COLUMN tidegate.seal.relation IS 'The sealed table.';
COMMENT ON COLUMN tidegate.seal.name IS 'Its qualified name when it was sealed.';
COMMENT ON COLUMN tidegate.seal.run IS 'The run that sealed it.';
COMMENT ON COLUMN tidegate.seal.step IS 'The step that sealed it.';
COMMENT ON COLUMN tidegate.seal.sealed_at IS 'When, by the server''s clock.';
COMMENT ON COLUMN tidegate.seal.expires_at IS 'From then on writes pass again, by the server''s clock. NULL: until lifted.';

CREATE TABLE IF NOT EXISTS tidegate.seal_stray (
    relation oid NOT NULL,
    kind     text NOT NULL CHECK (kind IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')),
    at       timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE tidegate.seal_stray IS 'Writes that reached a sealed table through a trigger or a cascade: let through, and counted.';
COMMENT ON COLUMN tidegate.seal_stray.relation IS 'The sealed table.';
COMMENT ON COLUMN tidegate.seal_stray.kind IS 'INSERT, UPDATE, DELETE or TRUNCATE.';
COMMENT ON COLUMN tidegate.seal_stray.at IS 'When, by the server''s clock.';

CREATE OR REPLACE FUNCTION tidegate.refuse_sealed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sealed tidegate.seal;
BEGIN
    SELECT * INTO sealed FROM tidegate.seal WHERE relation = TG_RELID;
    IF NOT FOUND OR sealed.expires_at <= clock_timestamp() THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'TG001',
        MESSAGE = format('%s is sealed: %s is refused', sealed.name, TG_OP),
        DETAIL = format('Sealed by step %s of run %s.', sealed.step, sealed.run),
        HINT = 'A migration is moving this table. Writes are refused so that none is lost.';
END $$;
COMMENT ON FUNCTION tidegate.refuse_sealed() IS 'Statement trigger of a sealed table: refuses direct writes with TG001.';

CREATE OR REPLACE FUNCTION tidegate.count_stray() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO tidegate.seal_stray (relation, kind) VALUES (TG_RELID, TG_OP);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION tidegate.count_stray() IS 'Statement trigger of a sealed table: counts writes that come through cascades or triggers.';

CREATE OR REPLACE FUNCTION tidegate.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'TG002',
        MESSAGE = format('tidegate.%s is append-only: %s is refused', TG_TABLE_NAME, TG_OP);
END $$;
COMMENT ON FUNCTION tidegate.refuse_change() IS 'Statement trigger of the journal: no UPDATE, DELETE or TRUNCATE.';

CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tidegate.event
    FOR EACH STATEMENT EXECUTE FUNCTION tidegate.refuse_change();

INSERT INTO tidegate.format (version) VALUES (1) ON CONFLICT DO NOTHING;
INSERT INTO tidegate.lease (epoch) VALUES (0) ON CONFLICT DO NOTHING;
INSERT INTO tidegate.head (seq, hash) VALUES (0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
REVOKE ALL ON FUNCTION tidegate.refuse_sealed(), tidegate.count_stray(), tidegate.refuse_change() FROM PUBLIC;
