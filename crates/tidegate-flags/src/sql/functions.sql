CREATE OR REPLACE FUNCTION tidegate.flag_lock(wanted text)
RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
AS $function$
    SELECT pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', 'tidegate flags of', wanted) COLLATE "C", 0)
$function$;
COMMENT ON FUNCTION tidegate.flag_lock(text) IS 'The advisory lock that is the barrier of a flag set.';

CREATE OR REPLACE FUNCTION tidegate.flag_enter(
    wanted text,
    OUT epoch bigint,
    OUT row_name text,
    OUT row_values boolean[],
    OUT lock_first text,
    OUT columns text[]
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(
        hashtextextended(concat_ws(' ', 'tidegate flags of', wanted) COLLATE "C", 0));
    IF current_setting('transaction_isolation') LIKE 'read %' THEN
        -- A volatile function's next statement has a new snapshot: the row as it is under the lock.
        SELECT s.epoch, s.row_name, s.row_values, s.lock_first, s.columns
        INTO flag_enter.epoch, flag_enter.row_name, flag_enter.row_values, flag_enter.lock_first, flag_enter.columns
        FROM tidegate.flag_set AS s WHERE s.name = wanted;
    ELSE
        -- The snapshot may be older than the lock. Locking a row that has changed since fails with 40001.
        SELECT s.epoch, s.row_name, s.row_values, s.lock_first, s.columns
        INTO flag_enter.epoch, flag_enter.row_name, flag_enter.row_values, flag_enter.lock_first, flag_enter.columns
        FROM tidegate.flag_set AS s WHERE s.name = wanted FOR SHARE;
    END IF;
END
$function$;
COMMENT ON FUNCTION tidegate.flag_enter(text) IS 'Enters the barrier for the rest of the transaction and returns the row that rules; NULLs: no such set.';

-- The same as one value: half the time of a function in FROM, which every write of every application pays.
CREATE OR REPLACE FUNCTION tidegate.flag_enter_json(wanted text)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    entered text;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(
        hashtextextended(concat_ws(' ', 'tidegate flags of', wanted) COLLATE "C", 0));
    IF current_setting('transaction_isolation') LIKE 'read %' THEN
        SELECT json_build_array(s.epoch, s.row_name, s.row_values, s.lock_first, s.columns) INTO entered
        FROM tidegate.flag_set AS s WHERE s.name = wanted;
    ELSE
        SELECT json_build_array(s.epoch, s.row_name, s.row_values, s.lock_first, s.columns) INTO entered
        FROM tidegate.flag_set AS s WHERE s.name = wanted FOR SHARE;
    END IF;
    RETURN entered;
END
$function$;
COMMENT ON FUNCTION tidegate.flag_enter_json(text) IS 'As flag_enter, as a JSON array of its columns; NULL: no such set.';

CREATE OR REPLACE FUNCTION tidegate.flag_beat(
    wanted text,
    me uuid,
    my_name text,
    my_host text,
    my_version text,
    my_lost_after_ms bigint,
    my_seen bigint,
    my_drained bigint,
    my_override text,
    rewrite_after_ms bigint,
    OUT epoch bigint,
    OUT row_name text,
    OUT row_values boolean[],
    OUT lock_first text,
    OUT columns text[],
    OUT beat_age_ms bigint
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    settled timestamptz;
    millisecond CONSTANT interval := interval '1 millisecond';
BEGIN
    SELECT s.settled_at INTO settled FROM tidegate.flag_set AS s WHERE s.name = wanted;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- Whom a mover may not have counted must not read the row from before the move: it waits for the mover.
    IF NOT EXISTS (
        SELECT FROM tidegate.flag_instance AS i
        WHERE i.flag_set = wanted AND i.instance = me
          AND i.beat_at > clock_timestamp() - my_lost_after_ms / 2 * millisecond
    ) THEN
        PERFORM pg_advisory_xact_lock_shared(
            hashtextextended(concat_ws(' ', 'tidegate flags of', wanted) COLLATE "C", 0));
        DELETE FROM tidegate.flag_instance AS i
        WHERE i.flag_set = wanted AND i.instance <> me
          AND i.beat_at < clock_timestamp() - greatest(interval '1 hour', i.lost_after_ms * 4 * millisecond);
    END IF;
    INSERT INTO tidegate.flag_instance AS i
        (flag_set, instance, name, host, version, lost_after_ms, seen_epoch, drained_epoch, override)
    VALUES (wanted, me, my_name, my_host, my_version, my_lost_after_ms, my_seen, my_drained, my_override)
    ON CONFLICT (flag_set, instance) DO UPDATE
    SET beat_at = clock_timestamp(), name = excluded.name, host = excluded.host, version = excluded.version,
        lost_after_ms = excluded.lost_after_ms, seen_epoch = excluded.seen_epoch,
        drained_epoch = excluded.drained_epoch, override = excluded.override
    WHERE (i.seen_epoch, i.drained_epoch, i.lost_after_ms)
          IS DISTINCT FROM (excluded.seen_epoch, excluded.drained_epoch, excluded.lost_after_ms)
       OR i.override IS DISTINCT FROM excluded.override
       OR i.beat_at < clock_timestamp() - rewrite_after_ms * millisecond;
    IF settled IS NULL THEN
        -- Last, and never waiting: a mover that holds the row may wait for what is locked above.
        UPDATE tidegate.flag_set AS s SET settled_at = clock_timestamp()
        WHERE s.name = (SELECT f.name FROM tidegate.flag_set AS f
                        WHERE f.name = wanted AND f.settled_at IS NULL FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
    SELECT s.epoch, s.row_name, s.row_values, s.lock_first, s.columns,
           ceil(greatest(0, extract(epoch FROM clock_timestamp() - i.beat_at)) * 1000)
    INTO flag_beat.epoch, flag_beat.row_name, flag_beat.row_values, flag_beat.lock_first, flag_beat.columns,
         flag_beat.beat_age_ms
    FROM tidegate.flag_set AS s
    JOIN tidegate.flag_instance AS i ON i.flag_set = s.name AND i.instance = me
    WHERE s.name = wanted;
END
$function$;
COMMENT ON FUNCTION tidegate.flag_beat(text, uuid, text, text, text, bigint, bigint, bigint, text, bigint) IS
    'An instance''s sign of life; returns the row that rules and how old the sign is that stands. NULLs: no such set.';

CREATE OR REPLACE FUNCTION tidegate.flag_leave(wanted text, me uuid)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
    DELETE FROM tidegate.flag_instance WHERE flag_set = wanted AND instance = me
$function$;
COMMENT ON FUNCTION tidegate.flag_leave(text, uuid) IS 'An instance ends in good order: nobody waits for it any more.';

CREATE OR REPLACE FUNCTION tidegate.flag_outbox_put(
    wanted text, to_side text, of_record text, of_key text, whole text, at_epoch bigint
)
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    put bigint;
BEGIN
    -- Whoever writes the same key waits here, so that ids of one key grow in commit order.
    PERFORM pg_advisory_xact_lock(
        hashtextextended(concat_ws(' ', 'tidegate outbox', wanted, of_record, of_key) COLLATE "C", 0));
    INSERT INTO tidegate.flag_outbox (flag_set, side, record, key, payload, epoch)
    VALUES (wanted, to_side, of_record, of_key, whole, at_epoch)
    RETURNING id INTO put;
    RETURN put;
END
$function$;
COMMENT ON FUNCTION tidegate.flag_outbox_put(text, text, text, text, text, bigint) IS
    'Notes down a write for the other side, in the transaction that wrote.';

CREATE OR REPLACE FUNCTION tidegate.flag_outbox_take(wanted text, most integer, not_since_ms bigint)
RETURNS TABLE (id bigint, side text, record text, key text, payload text, epoch bigint, attempts integer)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN QUERY
    SELECT o.id, o.side, o.record, o.key, o.payload, o.epoch, o.attempts
    FROM tidegate.flag_outbox AS o
    WHERE o.flag_set = wanted
      AND (o.tried_at IS NULL OR o.tried_at < clock_timestamp() - not_since_ms * interval '1 millisecond')
      AND NOT EXISTS (
          SELECT FROM tidegate.flag_outbox AS earlier
          WHERE earlier.flag_set = o.flag_set AND earlier.record = o.record AND earlier.key = o.key
            AND earlier.id < o.id)
    ORDER BY o.id
    LIMIT least(greatest(most, 1), 1000)
    FOR UPDATE OF o SKIP LOCKED;
END
$function$;
COMMENT ON FUNCTION tidegate.flag_outbox_take(text, integer, bigint) IS
    'Takes the oldest write of each key, for as long as the transaction is open; those that others took are left out.';

CREATE OR REPLACE FUNCTION tidegate.flag_outbox_done(ids bigint[])
RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
    WITH gone AS (DELETE FROM tidegate.flag_outbox WHERE id = ANY (ids) RETURNING id)
    SELECT count(*) FROM gone
$function$;
COMMENT ON FUNCTION tidegate.flag_outbox_done(bigint[]) IS 'Removes writes that the other side has got.';

CREATE OR REPLACE FUNCTION tidegate.flag_outbox_refused(which bigint, why text)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
    UPDATE tidegate.flag_outbox
    SET attempts = least(attempts, 2147483646) + 1, tried_at = clock_timestamp(), last_error = left(why, 500)
    WHERE id = which
$function$;
COMMENT ON FUNCTION tidegate.flag_outbox_refused(bigint, text) IS
    'The other side refused a write: it stays, and later writes of its key wait behind it.';

CREATE OR REPLACE FUNCTION tidegate.flag_outbox_open(
    wanted text, OUT writes bigint, OUT keys bigint, OUT refused bigint, OUT oldest_ms bigint
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT count(*), count(DISTINCT (record, key)), count(*) FILTER (WHERE attempts > 0),
           (extract(epoch FROM clock_timestamp() - min(enqueued_at)) * 1000)::bigint
    FROM tidegate.flag_outbox WHERE flag_set = wanted
$function$;
COMMENT ON FUNCTION tidegate.flag_outbox_open(text) IS 'How far the other side is behind.';

CREATE OR REPLACE FUNCTION tidegate.flag_outbox_apply(from_source text, of_record text, of_key text, of_id bigint)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    INSERT INTO tidegate.flag_applied AS a (source, record, key, id)
    VALUES (from_source, of_record, of_key, of_id)
    ON CONFLICT (source, record, key) DO UPDATE SET id = excluded.id, applied_at = clock_timestamp()
    WHERE a.id < excluded.id;
    RETURN FOUND;
END
$function$;
COMMENT ON FUNCTION tidegate.flag_outbox_apply(text, text, text, bigint) IS
    'Whether a write is new to this database, and notes it down, in the transaction that applies it.';

-- Last, so that it stands only where all of the above does.
CREATE OR REPLACE FUNCTION tidegate.flag_format()
RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $function$ SELECT 1 $function$;
COMMENT ON FUNCTION tidegate.flag_format() IS 'Which version of the flag tables and functions stands here.';

REVOKE ALL ON FUNCTION
    tidegate.flag_format(),
    tidegate.flag_lock(text),
    tidegate.flag_enter(text),
    tidegate.flag_enter_json(text),
    tidegate.flag_beat(text, uuid, text, text, text, bigint, bigint, bigint, text, bigint),
    tidegate.flag_leave(text, uuid),
    tidegate.flag_outbox_put(text, text, text, text, text, bigint),
    tidegate.flag_outbox_take(text, integer, bigint),
    tidegate.flag_outbox_done(bigint[]),
    tidegate.flag_outbox_refused(bigint, text),
    tidegate.flag_outbox_open(text),
    tidegate.flag_outbox_apply(text, text, text, bigint)
FROM PUBLIC;
