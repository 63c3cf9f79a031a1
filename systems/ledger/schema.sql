SET check_function_bodies = false;

CREATE SCHEMA app;

COMMENT ON SCHEMA app IS 'Tenant context of the economic ledger and the functions that depend on it.';

CREATE FUNCTION app.credit_back(community uuid, key text, debit_key text, amount bigint) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
  request  jsonb := jsonb_build_object('debit', debit_key, 'amountMicro', amount);
  answer   jsonb;
  debited  jsonb;
  returned bigint;
BEGIN
  PERFORM app.enter_tenant(community);
  answer := app.repeated(community, 'credit_back:' || key, request);
  IF answer IS NOT NULL THEN
    RETURN answer;
  ELSIF NOT app.is_amount(amount) THEN
    RETURN jsonb_build_object('reason', 'INVALID_AMOUNT');
  END IF;
  SELECT known.answer INTO debited FROM public.ledger_requests AS known
  WHERE known.community_id = community AND known.request_key = 'debit:' || debit_key;
  IF debited IS NULL THEN
    RETURN jsonb_build_object('reason', 'UNKNOWN_DEBIT');
  END IF;
  SELECT coalesce(sum(amount_micro), 0) INTO returned FROM public.lot_entries
  WHERE community_id = community AND entry_type = 'credit_back' AND reference_id = 'debit:' || debit_key;
  IF amount > (debited ->> 'amountMicro')::bigint - returned THEN
    RETURN jsonb_build_object('reason', 'CREDIT_BACK_EXCEEDS_DEBIT', 'returnableMicro', (debited ->> 'amountMicro')::bigint - returned);
  END IF;
  PERFORM app.give_back(community, debited -> 'lots', amount, returned, 'debit:' || debit_key);
  RETURN app.done(community, 'credit_back:' || key, request, jsonb_build_object('status', 'credited_back', 'amountMicro', amount));
END
$$;

COMMENT ON FUNCTION app.credit_back(community uuid, key text, debit_key text, amount bigint) IS 'Returns what a debit took, at most that.';

CREATE FUNCTION app.current_community_id() RETURNS uuid
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  -- A session that once had the setting keeps it as the empty text: both mean that there is none.
  setting text := nullif(current_setting('app.community_id', true), '');
BEGIN
  IF setting IS NULL THEN
    RAISE EXCEPTION 'app.community_id is not set'
      USING ERRCODE = 'P0001',
            HINT = 'Call app.set_community_context(community) first, in the same transaction.';
  END IF;
  RETURN setting::uuid;
END
$$;

COMMENT ON FUNCTION app.current_community_id() IS 'The tenant of this transaction. Raises P0001 when none is set and 22P02 when the setting is no uuid; never null.';

CREATE FUNCTION app.debit(community uuid, key text, amount bigint) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
  request jsonb := jsonb_build_object('amountMicro', amount);
  answer  jsonb;
  lots    jsonb;
BEGIN
  PERFORM app.enter_tenant(community);
  answer := app.repeated(community, 'debit:' || key, request);
  IF answer IS NOT NULL THEN
    RETURN answer;
  ELSIF NOT app.is_amount(amount) THEN
    RETURN jsonb_build_object('reason', 'INVALID_AMOUNT');
  ELSIF NOT app.is_open(community) THEN
    RETURN jsonb_build_object('reason', 'CIRCUIT_OPEN');
  END IF;
  lots := app.take_from_lots(community, amount, 'debit:' || key);
  IF lots IS NULL THEN
    RETURN jsonb_build_object('reason', 'BUDGET_EXCEEDED', 'availableMicro', app.spendable_micro(community));
  END IF;
  RETURN app.done(community, 'debit:' || key, request,
    jsonb_build_object('status', 'debited', 'amountMicro', amount, 'lots', lots));
END
$$;

COMMENT ON FUNCTION app.debit(community uuid, key text, amount bigint) IS 'Takes an amount from a tenant''s lots, all of it or nothing.';

CREATE FUNCTION app.debit_many(community uuid, keys text[], amounts bigint[]) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
  moment     timestamptz;
  may_spend  boolean;
  wanted     numeric; -- an amount that all of them together do not exceed
  spendable  numeric := 0;
  lot        record;
  lots       uuid[] := '{}'; -- in the order of spending, and beside it what is left of each
  lefts      bigint[] := '{}';
  current    integer := 1; -- the lot that is being spent
  ends       integer;
  asked      record;
  repeats    integer[] := array_fill(NULL::integer, ARRAY[cardinality(keys)]); -- by a key's first place, where it was done
  answer     jsonb;
  answers    jsonb[] := '{}';
  needed     bigint;
  take       bigint;
  takes      jsonb;
  entry_lots uuid[] := '{}';
  entry_micros bigint[] := '{}';
  entry_keys text[] := '{}';
  done       integer[] := '{}';
BEGIN
  PERFORM app.enter_tenant(community);
  moment := clock_timestamp();
  may_spend := app.is_open(community);
  wanted := (SELECT sum(amount) FROM unnest(amounts) AS amount WHERE app.is_amount(amount));
  FOR lot IN
    SELECT lot_id, remaining_micro FROM public.lot_totals
    WHERE community_id = community AND has_credit AND spend_by > moment
    ORDER BY spend_by, minted_at, lot_id
  LOOP
    lots := lots || lot.lot_id;
    lefts := lefts || lot.remaining_micro;
    spendable := spendable + lot.remaining_micro;
    EXIT WHEN spendable >= wanted;
  END LOOP;

  FOR asked IN
    SELECT debit.n, debit.key, debit.amount, known.request, known.answer,
           min(debit.n) OVER (PARTITION BY debit.key COLLATE "C") AS first
    FROM unnest(keys, amounts) WITH ORDINALITY AS debit (key, amount, n)
    LEFT JOIN LATERAL (
      SELECT kept.request, kept.answer FROM public.ledger_requests AS kept
      WHERE kept.community_id = community AND kept.request_key = 'debit:' || debit.key
      LIMIT 1 -- each key is looked up by itself, whatever the planner thinks of how many there are
    ) AS known ON true
    ORDER BY debit.n
  LOOP
    IF asked.request IS NULL AND repeats[asked.first] IS NOT NULL THEN
      asked.request := jsonb_build_object('amountMicro', amounts[repeats[asked.first]]);
      asked.answer := answers[repeats[asked.first]];
    END IF;
    IF asked.request IS NOT NULL THEN
      answer := CASE WHEN asked.request = jsonb_build_object('amountMicro', asked.amount) THEN asked.answer
                ELSE jsonb_build_object('reason', 'IDEMPOTENCY_CONFLICT', 'known', asked.request) END;
    ELSIF NOT app.is_amount(asked.amount) THEN
      answer := jsonb_build_object('reason', 'INVALID_AMOUNT');
    ELSIF NOT may_spend THEN
      answer := jsonb_build_object('reason', 'CIRCUIT_OPEN');
    ELSIF asked.amount > spendable THEN
      answer := jsonb_build_object('reason', 'BUDGET_EXCEEDED', 'availableMicro', least(spendable, 9223372036854775807));
    ELSE
      needed := asked.amount;
      spendable := spendable - needed;
      takes := '[]';
      WHILE needed > 0 LOOP
        take := least(needed, lefts[current]);
        takes := takes || jsonb_build_object('lot', lots[current], 'micro', take);
        entry_lots := entry_lots || lots[current];
        entry_micros := entry_micros || take;
        entry_keys := entry_keys || asked.key;
        needed := needed - take;
        lefts[current] := lefts[current] - take;
        IF lefts[current] = 0 THEN
          current := current + 1;
        END IF;
      END LOOP;
      answer := jsonb_build_object('status', 'debited', 'amountMicro', asked.amount, 'lots', takes);
      done := done || asked.n::integer;
      repeats[asked.first] := asked.n;
    END IF;
    answers := answers || answer;
  END LOOP;

  INSERT INTO public.lot_entries (lot_id, community_id, entry_type, amount_micro, reservation_id)
  SELECT entry.lot, community, 'debit', entry.micro, 'debit:' || entry.key
  FROM unnest(entry_lots, entry_micros, entry_keys) AS entry (lot, micro, key);
  INSERT INTO public.ledger_requests (community_id, request_key, request, answer)
  SELECT community, 'debit:' || keys[place], jsonb_build_object('amountMicro', amounts[place]), answers[place]
  FROM unnest(done) AS place;
  FOR ends IN 1 .. current - 1 LOOP
    PERFORM app.update_lot_status(lots[ends], 'depleted');
  END LOOP;
  RETURN to_jsonb(answers);
END
$$;

COMMENT ON FUNCTION app.debit_many(community uuid, keys text[], amounts bigint[]) IS 'Many debits in one transaction, each answered as app.debit would, one after the other: one that is refused does not stop the others.';

CREATE FUNCTION app.done(community uuid, key text, request jsonb, answer jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
BEGIN
  INSERT INTO public.ledger_requests (community_id, request_key, request, answer)
  VALUES (community, key, request, answer);
  RETURN answer;
END
$$;

COMMENT ON FUNCTION app.done(community uuid, key text, request jsonb, answer jsonb) IS 'Keeps an answer under its key and returns it.';

CREATE FUNCTION app.enter_tenant(community uuid) RETURNS uuid
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF community IS NULL THEN
    PERFORM app.set_community_context(community); -- which refuses it
  END IF;
  -- As app.set_community_context does, in one expression with the lock.
  PERFORM set_config('app.community_id', community::text, true),
          pg_advisory_xact_lock(hashtextextended(community::text, 7337002));
  RETURN community;
END
$$;

COMMENT ON FUNCTION app.enter_tenant(community uuid) IS 'Names the tenant and takes its lock, to the end of the transaction. Who comes second sees what the first one did.';

CREATE FUNCTION app.finalize(community uuid, finalization text, reservation text, cost bigint, mode text, fence bigint, nft text, pool text, input_tokens integer, output_tokens integer) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
  request   jsonb := jsonb_build_object('reservation', reservation, 'costMicro', cost, 'mode', mode, 'nft', nft, 'pool', pool,
                                        'tokensInput', input_tokens, 'tokensOutput', output_tokens);
  answer    jsonb;
  known     public.reservations;
  overrun   bigint;
  extra     bigint := 0;
  uncovered bigint := 0;
  charged   bigint;
  event     uuid := gen_random_uuid();
  number    bigint;
BEGIN
  PERFORM app.enter_tenant(community);
  answer := app.repeated(community, 'finalize:' || finalization, request);
  IF answer IS NOT NULL THEN
    RETURN answer;
  ELSIF cost IS NULL OR cost < 0 OR cost > 9000000000000000000 THEN
    RETURN jsonb_build_object('reason', 'INVALID_AMOUNT');
  END IF;
  SELECT * INTO known FROM public.reservations WHERE community_id = community AND reservation_id = reservation;
  IF NOT FOUND THEN
    RETURN jsonb_build_object('reason', 'UNKNOWN_RESERVATION');
  ELSIF known.status <> 'pending' OR known.expires_at <= clock_timestamp() THEN
    RETURN jsonb_build_object('reason', 'INVALID_STATE',
      'status', CASE known.status WHEN 'pending' THEN 'expired' ELSE known.status END);
  END IF;
  IF fence IS NOT NULL THEN
    INSERT INTO public.reconciliation_cursor AS cursor (community_id, last_fence_token) VALUES (community, fence)
    ON CONFLICT (community_id) DO UPDATE SET last_fence_token = EXCLUDED.last_fence_token, updated_at = now()
    WHERE cursor.last_fence_token < EXCLUDED.last_fence_token;
    IF NOT FOUND THEN
      RETURN jsonb_build_object('reason', 'STALE_FENCE');
    END IF;
  END IF;
  charged := least(cost, known.amount_micro);
  overrun := cost - charged;
  IF cost < known.amount_micro THEN
    PERFORM app.give_back(community, known.lots, known.amount_micro - cost, 0, 'reserve:' || reservation);
  ELSIF mode = 'soft' AND overrun > 0 THEN
    extra := CASE WHEN app.is_open(community) THEN least(overrun, app.spendable_micro(community)) ELSE 0 END;
    IF extra > 0 AND app.take_from_lots(community, extra, 'overrun:' || reservation) IS NULL THEN
      extra := 0;
    END IF;
    charged := charged + extra;
    uncovered := overrun - extra;
  ELSIF mode = 'live' THEN
    overrun := 0;
  END IF;
  INSERT INTO public.usage_heads AS head (community_id, seq) VALUES (community, 1)
  ON CONFLICT (community_id) DO UPDATE SET seq = head.seq + 1
  RETURNING seq INTO number;
  INSERT INTO public.usage_events
    (event_id, community_id, nft_id, pool_id, tokens_input, tokens_output, amount_micro, reservation_id, finalization_id,
     fence_token, conservation_guard_result, tenant_seq)
  VALUES (event, community, nft, pool, input_tokens, output_tokens, charged, reservation, community || ':' || finalization,
          fence, uncovered = 0, number);
  UPDATE public.reservations
  SET status = 'finalized', cost_micro = cost, charged_micro = charged, overrun_micro = overrun, uncovered_micro = uncovered,
      resolved_at = clock_timestamp()
  WHERE community_id = community AND reservation_id = reservation;
  RETURN app.done(community, 'finalize:' || finalization, request, jsonb_build_object(
    'status', 'finalized', 'eventId', event, 'seq', number, 'costMicro', cost, 'chargedMicro', charged,
    'overrunMicro', overrun, 'uncoveredMicro', uncovered));
END
$$;

COMMENT ON FUNCTION app.finalize(community uuid, finalization text, reservation text, cost bigint, mode text, fence bigint, nft text, pool text, input_tokens integer, output_tokens integer) IS 'Charges what a reserved use cost, gives the rest back, and writes the usage event. A fence that is not above the last one is stale.';

CREATE FUNCTION app.give_back(community uuid, lots jsonb, amount bigint, skip bigint, reference text) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
  left_over bigint := amount;
  skipping  bigint := skip;
  part      record;
  back      bigint;
  is_over   boolean;
BEGIN
  -- The lot that was spent last gets back first; what came back before is skipped.
  FOR part IN
    SELECT (entry.value ->> 'lot')::uuid AS lot_id, (entry.value ->> 'micro')::bigint AS micro
    FROM jsonb_array_elements(lots) WITH ORDINALITY AS entry (value, n) ORDER BY n DESC
  LOOP
    EXIT WHEN left_over = 0;
    back := part.micro - least(skipping, part.micro);
    skipping := skipping - least(skipping, part.micro);
    back := least(back, left_over);
    CONTINUE WHEN back = 0;
    INSERT INTO public.lot_entries (lot_id, community_id, entry_type, amount_micro, reference_id)
    VALUES (part.lot_id, community, 'credit_back', back, reference);
    SELECT lot.status = 'expired' OR coalesce(lot.expires_at <= clock_timestamp(), false)
           OR EXISTS (SELECT FROM public.crypto_payments AS payment
                      WHERE lot.payment_id IS NOT NULL AND payment.payment_id = lot.payment_id AND payment.status = 'refunded')
    INTO is_over
    FROM public.credit_lots AS lot WHERE lot.id = part.lot_id;
    IF is_over THEN
      INSERT INTO public.lot_entries (lot_id, community_id, entry_type, amount_micro, reference_id)
      VALUES (part.lot_id, community, 'expiry', back, reference);
    END IF;
    left_over := left_over - back;
  END LOOP;
  IF left_over > 0 THEN
    RAISE EXCEPTION 'more would come back than was taken: % of %', left_over, amount USING ERRCODE = 'LG009';
  END IF;
END
$$;

COMMENT ON FUNCTION app.give_back(community uuid, lots jsonb, amount bigint, skip bigint, reference text) IS 'Credits back to the lots that were debited, the last one first, after the first `skip` micro-dollars; what comes back to a lot that is expired or refunded expires at once.';

CREATE FUNCTION app.is_amount(amount bigint) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN COALESCE(((amount > 0) AND (amount <= '10000000000000000'::bigint)), false);

COMMENT ON FUNCTION app.is_amount(amount bigint) IS 'Whether an amount in micro-dollars can be booked.';

CREATE FUNCTION app.is_open(community uuid) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
  RETURN NOT EXISTS (SELECT FROM public.circuit_breakers WHERE community_id = community AND reset_at IS NULL);
END
$$;

COMMENT ON FUNCTION app.is_open(community uuid) IS 'Whether a tenant''s breaker lets it spend.';

CREATE FUNCTION app.mint(community uuid, key text, origin text, amount bigint, expires timestamp with time zone, payment text) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
  request jsonb := jsonb_build_object('origin', origin, 'amountMicro', amount, 'expiresAt', expires, 'payment', payment);
  answer  jsonb;
  minted  uuid;
BEGIN
  PERFORM app.enter_tenant(community);
  answer := app.repeated(community, 'mint:' || key, request);
  IF answer IS NOT NULL THEN
    RETURN answer;
  ELSIF NOT app.is_amount(amount) THEN
    RETURN jsonb_build_object('reason', 'INVALID_AMOUNT');
  ELSIF expires <= clock_timestamp() THEN
    RETURN jsonb_build_object('reason', 'ALREADY_EXPIRED');
  END IF;
  INSERT INTO public.credit_lots (community_id, source, payment_id, amount_micro, expires_at)
  VALUES (community, origin, payment, amount, expires)
  ON CONFLICT (payment_id) WHERE payment_id IS NOT NULL DO NOTHING
  RETURNING id INTO minted;
  IF minted IS NULL THEN
    RETURN jsonb_build_object('reason', 'ALREADY_MINTED');
  END IF;
  INSERT INTO public.lot_entries (lot_id, community_id, entry_type, amount_micro, reference_id)
  VALUES (minted, community, 'credit', amount, coalesce(payment, minted::text));
  RETURN app.done(community, 'mint:' || key, request, jsonb_build_object('status', 'minted', 'lotId', minted, 'amountMicro', amount));
END
$$;

COMMENT ON FUNCTION app.mint(community uuid, key text, origin text, amount bigint, expires timestamp with time zone, payment text) IS 'Makes a lot with its credit. A payment mints once over all tenants.';

CREATE FUNCTION app.reconcile(community uuid, at_most integer) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
  cursor public.reconciliation_cursor;
  after  bigint;
  looked record;
BEGIN
  PERFORM app.enter_tenant(community);
  INSERT INTO public.reconciliation_cursor (community_id) VALUES (community) ON CONFLICT DO NOTHING;
  SELECT * INTO cursor FROM public.reconciliation_cursor WHERE community_id = community;
  after := coalesce((SELECT looked_seq FROM public.usage_heads WHERE community_id = community), 0);
  SELECT count(*) AS events, max(tenant_seq) AS seq,
         (array_agg(event_id ORDER BY tenant_seq DESC))[1] AS event,
         coalesce(sum(amount_micro), 0)::bigint AS amount, coalesce(sum(amount_micro - charged), 0)::bigint AS drift
  INTO looked
  FROM (
    SELECT event.event_id, event.tenant_seq, event.amount_micro, coalesce(reservation.charged_micro, 0) AS charged
    FROM public.usage_events AS event
    LEFT JOIN public.reservations AS reservation
      ON reservation.community_id = event.community_id AND reservation.reservation_id = event.reservation_id
    WHERE event.community_id = community AND event.tenant_seq > after
    ORDER BY event.tenant_seq LIMIT at_most
  ) AS events;
  IF looked.events > 0 THEN
    UPDATE public.usage_heads SET looked_seq = looked.seq WHERE community_id = community;
    UPDATE public.reconciliation_cursor
    SET last_processed_event_id = looked.event, drift_micro = cursor.drift_micro + looked.drift, last_reconciled_at = clock_timestamp(), updated_at = clock_timestamp()
    WHERE community_id = community;
  END IF;
  RETURN jsonb_build_object('events', looked.events, 'amountMicro', looked.amount,
    'seq', coalesce(looked.seq, after), 'driftMicro', cursor.drift_micro + looked.drift);
END
$$;

COMMENT ON FUNCTION app.reconcile(community uuid, at_most integer) IS 'Holds the next usage events of a tenant against what was charged for them, and moves the cursor behind them in the same transaction. Numbers without gaps: it cannot skip one.';

CREATE FUNCTION app.release(community uuid, reservation text, outcome text) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
  known public.reservations;
BEGIN
  PERFORM app.enter_tenant(community);
  SELECT * INTO known FROM public.reservations WHERE community_id = community AND reservation_id = reservation;
  IF NOT FOUND THEN
    RETURN jsonb_build_object('reason', 'UNKNOWN_RESERVATION');
  ELSIF known.status = outcome THEN
    RETURN jsonb_build_object('status', outcome, 'amountMicro', known.amount_micro);
  ELSIF known.status <> 'pending' THEN
    RETURN jsonb_build_object('reason', 'INVALID_STATE', 'status', known.status);
  END IF;
  PERFORM app.give_back(community, known.lots, known.amount_micro, 0, 'reserve:' || reservation);
  UPDATE public.reservations SET status = outcome, resolved_at = clock_timestamp()
  WHERE community_id = community AND reservation_id = reservation;
  RETURN jsonb_build_object('status', outcome, 'amountMicro', known.amount_micro);
END
$$;

COMMENT ON FUNCTION app.release(community uuid, reservation text, outcome text) IS 'Gives a reservation back whole: `released`, or `expired` by the sweep.';

CREATE FUNCTION app.repeated(community uuid, key text, request jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
  known public.ledger_requests;
BEGIN
  SELECT * INTO known FROM public.ledger_requests WHERE community_id = community AND request_key = key;
  IF NOT FOUND THEN
    RETURN NULL;
  ELSIF known.request = request THEN
    RETURN known.answer;
  END IF;
  RETURN jsonb_build_object('reason', 'IDEMPOTENCY_CONFLICT', 'known', known.request);
END
$$;

COMMENT ON FUNCTION app.repeated(community uuid, key text, request jsonb) IS 'The answer to a request that was done before under its key, a conflict if that was another one, or null.';

CREATE FUNCTION app.reserve(community uuid, reservation text, amount bigint, seconds integer) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
  known public.reservations;
  held  jsonb;
  until timestamptz;
BEGIN
  PERFORM app.enter_tenant(community);
  SELECT * INTO known FROM public.reservations WHERE community_id = community AND reservation_id = reservation;
  IF FOUND THEN
    IF known.amount_micro <> amount THEN
      RETURN jsonb_build_object('reason', 'IDEMPOTENCY_CONFLICT', 'known', jsonb_build_object('amountMicro', known.amount_micro));
    END IF;
    RETURN jsonb_build_object('status', 'reserved', 'amountMicro', amount, 'expiresAt', known.expires_at);
  ELSIF NOT app.is_amount(amount) THEN
    RETURN jsonb_build_object('reason', 'INVALID_AMOUNT');
  ELSIF NOT app.is_open(community) THEN
    RETURN jsonb_build_object('reason', 'CIRCUIT_OPEN');
  END IF;
  held := app.take_from_lots(community, amount, 'reserve:' || reservation);
  IF held IS NULL THEN
    RETURN jsonb_build_object('reason', 'BUDGET_EXCEEDED', 'availableMicro', app.spendable_micro(community));
  END IF;
  until := clock_timestamp() + make_interval(secs => seconds);
  INSERT INTO public.reservations (community_id, reservation_id, amount_micro, lots, expires_at)
  VALUES (community, reservation, amount, held, until);
  RETURN jsonb_build_object('status', 'reserved', 'amountMicro', amount, 'expiresAt', until);
END
$$;

COMMENT ON FUNCTION app.reserve(community uuid, reservation text, amount bigint, seconds integer) IS 'Sets an amount aside for so many seconds.';

CREATE FUNCTION app.set_community_context(community uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  IF community IS NULL THEN
    RAISE EXCEPTION 'app.set_community_context needs a community, not NULL'
      USING ERRCODE = '22004',
            HINT = 'Pass the id of the tenant that this transaction works for.';
  END IF;
  -- Transaction-local, so that a pooler that hands this connection on hands no tenant on with it.
  PERFORM set_config('app.community_id', community::text, true);
END
$$;

COMMENT ON FUNCTION app.set_community_context(community uuid) IS 'Names the tenant of this transaction; gone at its end. Outside a transaction block it has no effect.';

CREATE FUNCTION app.spendable_micro(community uuid) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
  moment timestamptz := clock_timestamp();
BEGIN
  RETURN (SELECT least(coalesce(sum(remaining_micro), 0), 9223372036854775807)::bigint FROM public.lot_totals
          WHERE community_id = community AND has_credit AND spend_by > moment);
END
$$;

COMMENT ON FUNCTION app.spendable_micro(community uuid) IS 'What a tenant can spend now, in micro-dollars.';

CREATE FUNCTION app.sweep(community uuid, at_most integer) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
  lot     record;
  due     record;
  lots    integer := 0;
  expired bigint := 0;
  given   integer := 0;
BEGIN
  PERFORM app.enter_tenant(community);
  FOR due IN
    SELECT reservation_id FROM public.reservations
    WHERE community_id = community AND status = 'pending' AND expires_at <= clock_timestamp()
    ORDER BY expires_at, reservation_id LIMIT at_most
  LOOP
    PERFORM app.release(community, due.reservation_id, 'expired');
    given := given + 1;
  END LOOP;
  FOR lot IN
    SELECT found.id, found.status, total.remaining_micro
    FROM public.credit_lots AS found JOIN public.lot_totals AS total ON total.lot_id = found.id
    WHERE found.community_id = community AND found.expires_at <= clock_timestamp()
      AND (found.status = 'active' OR total.remaining_micro > 0)
    ORDER BY found.expires_at, found.id LIMIT at_most
  LOOP
    IF lot.remaining_micro > 0 THEN
      INSERT INTO public.lot_entries (lot_id, community_id, entry_type, amount_micro, reference_id)
      VALUES (lot.id, community, 'expiry', lot.remaining_micro, 'sweep');
      expired := expired + lot.remaining_micro;
    END IF;
    IF lot.status = 'active' THEN
      PERFORM app.update_lot_status(lot.id, 'expired');
    END IF;
    lots := lots + 1;
  END LOOP;
  RETURN jsonb_build_object('reservations', given, 'lots', lots, 'expiredMicro', expired);
END
$$;

COMMENT ON FUNCTION app.sweep(community uuid, at_most integer) IS 'Gives back reservations and expires lots whose time is over, at most so many of each.';

CREATE FUNCTION app.take_from_lots(community uuid, amount bigint, tag text) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  needed bigint := amount;
  lot    record;
  takes  jsonb := '[]';
  drains uuid[] := '{}';
  ends   uuid;
BEGIN
  SELECT lot_id, remaining_micro INTO lot FROM public.lot_totals
  WHERE community_id = community AND has_credit AND spend_by > moment
  ORDER BY spend_by, minted_at, lot_id LIMIT 1;
  IF lot.remaining_micro > amount THEN
    -- Nearly always: one lot suffices, and something is left of it.
    INSERT INTO public.lot_entries (lot_id, community_id, entry_type, amount_micro, reservation_id)
    VALUES (lot.lot_id, community, 'debit', amount, tag);
    RETURN jsonb_build_array(jsonb_build_object('lot', lot.lot_id, 'micro', amount));
  END IF;
  FOR lot IN
    SELECT lot_id, remaining_micro FROM public.lot_totals
    WHERE community_id = community AND has_credit AND spend_by > moment
    ORDER BY spend_by, minted_at, lot_id
  LOOP
    takes := takes || jsonb_build_object('lot', lot.lot_id, 'micro', least(needed, lot.remaining_micro));
    IF lot.remaining_micro <= needed THEN
      drains := drains || lot.lot_id;
    END IF;
    needed := needed - least(needed, lot.remaining_micro);
    EXIT WHEN needed = 0;
  END LOOP;
  IF needed > 0 THEN
    RETURN NULL;
  END IF;
  INSERT INTO public.lot_entries (lot_id, community_id, entry_type, amount_micro, reservation_id)
  SELECT (take.value ->> 'lot')::uuid, community, 'debit', (take.value ->> 'micro')::bigint, tag
  FROM jsonb_array_elements(takes) AS take (value);
  FOREACH ends IN ARRAY drains LOOP
    PERFORM app.update_lot_status(ends, 'depleted');
  END LOOP;
  RETURN takes;
END
$$;

COMMENT ON FUNCTION app.take_from_lots(community uuid, amount bigint, tag text) IS 'Debits an amount, earliest expiry first, then oldest; null, and nothing debited, if it is not there. The tenant''s lock is held.';

CREATE FUNCTION app.update_lot_status(lot uuid, new_status text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  tenant     uuid := app.current_community_id();
  old_status text;
BEGIN
  IF new_status IS NULL OR new_status NOT IN ('expired', 'depleted') THEN
    RAISE EXCEPTION 'Invalid lot status transition: %', coalesce(new_status, 'NULL')
      USING ERRCODE = 'LG002', HINT = 'A lot can only become expired or depleted.';
  END IF;

  -- The tenant is compared here, too: a superuser that owns this function is under no row security.
  PERFORM set_config('app.lot_status_change', lot::text, true);
  UPDATE public.credit_lots SET status = new_status
  WHERE id = lot AND community_id = tenant AND status = 'active';
  IF FOUND THEN
    PERFORM set_config('app.lot_status_change', '', true);
    RETURN;
  END IF;
  PERFORM set_config('app.lot_status_change', '', true);

  SELECT status INTO old_status FROM public.credit_lots WHERE id = lot AND community_id = tenant;
  IF old_status IS NULL THEN
    RAISE EXCEPTION 'Lot % is not a lot of this community', coalesce(lot::text, 'NULL')
      USING ERRCODE = 'LG002', HINT = 'Check the lot id and app.community_id.';
  ELSIF old_status <> new_status THEN
    RAISE EXCEPTION 'Invalid lot status transition: % → %', old_status, new_status
      USING ERRCODE = 'LG002', HINT = 'A lot leaves active once and for all.';
  END IF;
END
$$;

COMMENT ON FUNCTION app.update_lot_status(lot uuid, new_status text) IS 'Moves one active lot of the current tenant to expired or depleted; again is no error. P0001 without tenant, LG002 for another tenant''s lot or another move. Locks that row only.';

CREATE FUNCTION public.add_to_lot_totals() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  sums record;
BEGIN
  -- Each lot's row once for each kind of entry, what comes in before what goes out; lots in one order, so that two
  -- statements do not wait for each other in a circle.
  FOR sums IN
    SELECT lot_id, community_id, entry_type, sum(amount_micro)::bigint AS micro
    FROM added GROUP BY lot_id, community_id, entry_type ORDER BY lot_id, entry_type
  LOOP
    UPDATE public.lot_totals SET
      credit_micro      = credit_micro      + CASE sums.entry_type WHEN 'credit'      THEN sums.micro ELSE 0 END,
      credit_back_micro = credit_back_micro + CASE sums.entry_type WHEN 'credit_back' THEN sums.micro ELSE 0 END,
      debit_micro       = debit_micro       + CASE sums.entry_type WHEN 'debit'       THEN sums.micro ELSE 0 END,
      expiry_micro      = expiry_micro      + CASE sums.entry_type WHEN 'expiry'      THEN sums.micro ELSE 0 END
    WHERE lot_id = sums.lot_id AND community_id = sums.community_id;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'Lot % has no totals for this community', sums.lot_id
        USING ERRCODE = 'LG006', HINT = 'Check the lot id, the community and app.community_id of the entry.';
    END IF;
  END LOOP;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.add_to_lot_totals() IS 'Trigger: adds a statement''s entries to the totals of their lots; 23514 if that overdraws one.';

CREATE FUNCTION public.add_to_tenant_totals() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO public.tenant_totals AS total (community_id, minted_micro) VALUES (NEW.community_id, NEW.amount_micro)
  ON CONFLICT (community_id) DO UPDATE SET minted_micro = total.minted_micro + EXCLUDED.minted_micro;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.add_to_tenant_totals() IS 'Trigger: adds a new lot to what its tenant was given; 23514 if that is beyond the bound.';

CREATE FUNCTION public.close_lot_totals() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  UPDATE public.lot_totals SET spend_by = '-infinity' WHERE lot_id = NEW.id AND community_id = NEW.community_id;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Lot % has no totals for this community', NEW.id
      USING ERRCODE = 'LG006', HINT = 'Check app.community_id.';
  END IF;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.close_lot_totals() IS 'Trigger: nothing of a lot is spent once its status is expired.';

CREATE FUNCTION public.enforce_cursor_fence() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  IF NEW.community_id <> OLD.community_id THEN
    RAISE EXCEPTION 'Reconciliation cursor belongs to its community and may not move to another'
      USING ERRCODE = 'LG007', HINT = 'Insert a cursor for the other community.';
  ELSIF NEW.last_fence_token < OLD.last_fence_token THEN
    RAISE EXCEPTION 'Reconciliation cursor cannot go backwards: fence % → %', OLD.last_fence_token, NEW.last_fence_token
      USING ERRCODE = 'LG007', HINT = 'Another worker holds a newer fence. Take a new one and read again.';
  END IF;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.enforce_cursor_fence() IS 'Trigger: refuses an older fence or another tenant (LG007).';

CREATE FUNCTION public.enforce_lot_status() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  expected public.credit_lots := OLD;
BEGIN
  expected.status := NEW.status;
  IF OLD.status <> 'active' OR NEW.status NOT IN ('expired', 'depleted') OR NEW IS DISTINCT FROM expected THEN
    RAISE EXCEPTION 'Invalid lot status transition: % → %', OLD.status, NEW.status
      USING ERRCODE = 'LG002', HINT = 'Only the status of an active lot changes, by app.update_lot_status.';
  END IF;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.enforce_lot_status() IS 'Trigger: lets a lot leave active and refuses every other change (LG002).';

CREATE FUNCTION public.enforce_payment_status_monotonicity() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  ranks CONSTANT text[] := ARRAY['waiting', 'confirming', 'confirmed', 'sending', 'partially_paid',
                                 'finished', 'expired', 'failed', 'refunded'];
  new_rank integer := array_position(ranks, NEW.status) - 1;
  old_rank integer;
  fixed text;
BEGIN
  IF new_rank IS NULL THEN
    RAISE EXCEPTION 'Unknown payment status: %', coalesce(NEW.status, 'NULL')
      USING ERRCODE = 'LG003', HINT = 'Use one of: ' || array_to_string(ranks, ', ') || '.';
  END IF;

  IF TG_OP = 'UPDATE' THEN
    old_rank := array_position(ranks, OLD.status) - 1;
    IF new_rank < old_rank THEN
      RAISE EXCEPTION 'Payment status cannot go backwards: % → %', OLD.status, NEW.status
        USING ERRCODE = 'LG004', HINT = 'Keep the stored status; the delivery is older than what is known.';
    ELSIF new_rank > old_rank AND old_rank >= 5 AND NOT (OLD.status = 'finished' AND NEW.status = 'refunded') THEN
      RAISE EXCEPTION 'Payment status is final: % → %', OLD.status, NEW.status
        USING ERRCODE = 'LG004', HINT = 'Only a finished payment moves on, and only to refunded.';
    END IF;

    fixed := CASE
      WHEN NEW.id           IS DISTINCT FROM OLD.id           THEN 'id'
      WHEN NEW.community_id IS DISTINCT FROM OLD.community_id THEN 'community_id'
      WHEN NEW.provider     IS DISTINCT FROM OLD.provider     THEN 'provider'
      WHEN NEW.amount_usd   IS DISTINCT FROM OLD.amount_usd   THEN 'amount_usd'
      WHEN NEW.currency     IS DISTINCT FROM OLD.currency     THEN 'currency'
      WHEN NEW.created_at   IS DISTINCT FROM OLD.created_at   THEN 'created_at'
      WHEN OLD.payment_id          IS NOT NULL AND NEW.payment_id          IS DISTINCT FROM OLD.payment_id
        THEN 'payment_id'
      WHEN OLD.credits_minted_at   IS NOT NULL AND NEW.credits_minted_at   IS DISTINCT FROM OLD.credits_minted_at
        THEN 'credits_minted_at'
      WHEN OLD.credits_mint_lot_id IS NOT NULL AND NEW.credits_mint_lot_id IS DISTINCT FROM OLD.credits_mint_lot_id
        THEN 'credits_mint_lot_id'
    END;
    IF fixed IS NOT NULL THEN
      RAISE EXCEPTION 'Payment % is fixed and may not change', fixed
        USING ERRCODE = 'LG005', COLUMN = fixed, HINT = 'Start a new payment instead.';
    END IF;
  END IF;

  NEW.status_rank := new_rank;
  NEW.updated_at := now();
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.enforce_payment_status_monotonicity() IS 'Trigger: refuses unknown statuses (LG003), moves that the status does not allow (LG004), changes of fixed columns (LG005).';

CREATE FUNCTION public.enforce_reservation_status() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  IF OLD.status <> 'pending' OR NEW.status = 'pending'
     OR (NEW.community_id, NEW.reservation_id, NEW.amount_micro, NEW.lots, NEW.expires_at, NEW.created_at)
        IS DISTINCT FROM
        (OLD.community_id, OLD.reservation_id, OLD.amount_micro, OLD.lots, OLD.expires_at, OLD.created_at) THEN
    RAISE EXCEPTION 'Invalid reservation transition: % → %', OLD.status, NEW.status
      USING ERRCODE = 'LG008', HINT = 'A reservation leaves pending once and for all, and nothing else of it changes.';
  END IF;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.enforce_reservation_status() IS 'Refuses every change of a reservation but that it leaves pending (LG008).';

CREATE FUNCTION public.open_lot_totals() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO public.lot_totals (lot_id, community_id, amount_micro, spend_by, minted_at)
  VALUES (NEW.id, NEW.community_id, NEW.amount_micro, coalesce(NEW.expires_at, 'infinity'), NEW.created_at);
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.open_lot_totals() IS 'Trigger: gives a new lot its row of totals.';

CREATE FUNCTION public.prevent_direct_totals() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  RAISE EXCEPTION '% follows from the journal: % not permitted', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'LG006', HINT = 'Insert an entry into lot_entries instead.';
END
$$;

COMMENT ON FUNCTION public.prevent_direct_totals() IS 'Trigger: refuses writes to the totals that do not come from the journal.';

CREATE FUNCTION public.prevent_mutation() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % not permitted', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'LG001',
          SCHEMA = TG_TABLE_SCHEMA,
          TABLE = TG_TABLE_NAME,
          HINT = 'Write a new row that corrects the old one.';
END
$$;

COMMENT ON FUNCTION public.prevent_mutation() IS 'Trigger: refuses the statement with LG001.';

CREATE FUNCTION public.prevent_truncate() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  RAISE EXCEPTION '% belongs to the ledger: TRUNCATE not permitted', TG_TABLE_NAME
    USING ERRCODE = 'LG001',
          SCHEMA = TG_TABLE_SCHEMA,
          TABLE = TG_TABLE_NAME,
          HINT = 'To leave the ledger, go back through the runbook, which counts what would be lost.';
END
$$;

COMMENT ON FUNCTION public.prevent_truncate() IS 'Trigger: refuses TRUNCATE with LG001.';

CREATE TABLE public.circuit_breakers (
    community_id uuid NOT NULL,
    tripped_at timestamp with time zone DEFAULT now() NOT NULL,
    drift_micro bigint NOT NULL,
    limit_micro bigint NOT NULL,
    reset_at timestamp with time zone,
    reset_by text
);

ALTER TABLE ONLY public.circuit_breakers FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE public.circuit_breakers IS 'Tenants whose counter drifted from the journal by 5 % of their limit or more: nothing is spent until somebody has looked.';

COMMENT ON COLUMN public.circuit_breakers.community_id IS 'The tenant. Never null.';

COMMENT ON COLUMN public.circuit_breakers.tripped_at IS 'When it tripped last, by the server''s clock. Never null.';

COMMENT ON COLUMN public.circuit_breakers.drift_micro IS 'By how much, in micro-dollars. Never null.';

COMMENT ON COLUMN public.circuit_breakers.limit_micro IS 'Of which limit, in micro-dollars. Never null.';

COMMENT ON COLUMN public.circuit_breakers.reset_at IS 'When it was reset. Null: it stands.';

COMMENT ON COLUMN public.circuit_breakers.reset_by IS 'Who reset it. Null: nobody.';

CREATE TABLE public.credit_lots (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    community_id uuid NOT NULL,
    source text NOT NULL,
    payment_id text,
    amount_micro bigint NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    expires_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT credit_lots_amount_in_range CHECK ((amount_micro <= '10000000000000000'::bigint)),
    CONSTRAINT credit_lots_amount_micro_check CHECK ((amount_micro > 0)),
    CONSTRAINT credit_lots_source_check CHECK ((source = ANY (ARRAY['purchase'::text, 'grant'::text, 'seed'::text, 'x402'::text, 'transfer_in'::text, 'tba_deposit'::text]))),
    CONSTRAINT credit_lots_status_check CHECK ((status = ANY (ARRAY['active'::text, 'expired'::text, 'depleted'::text])))
);

ALTER TABLE ONLY public.credit_lots FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE public.credit_lots IS 'One row per funding event. Append-only; status moves through app.update_lot_status.';

COMMENT ON COLUMN public.credit_lots.id IS 'Identity of the lot. Never null.';

COMMENT ON COLUMN public.credit_lots.community_id IS 'The tenant that owns the lot. Never null.';

COMMENT ON COLUMN public.credit_lots.source IS 'Where the credit came from, one of six words. Never null.';

COMMENT ON COLUMN public.credit_lots.payment_id IS 'Provider''s payment id or transaction hash; mints at most one lot over all tenants. Null: not paid for.';

COMMENT ON COLUMN public.credit_lots.amount_micro IS 'Amount granted, in micro-dollars (1 USD = 1 000 000), above 0. Never null.';

COMMENT ON COLUMN public.credit_lots.status IS 'active, expired or depleted; leaves active once. Never null.';

COMMENT ON COLUMN public.credit_lots.expires_at IS 'From this instant on the lot may not be spent. Null: never expires.';

COMMENT ON COLUMN public.credit_lots.created_at IS 'Server time at the start of the writing transaction. Never null.';

CREATE TABLE public.crypto_payments (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    community_id uuid NOT NULL,
    payment_id text,
    provider text DEFAULT 'nowpayments'::text NOT NULL,
    amount_usd numeric NOT NULL,
    amount_crypto numeric(24,8),
    currency text DEFAULT 'USDT'::text NOT NULL,
    status text DEFAULT 'waiting'::text NOT NULL,
    status_rank integer DEFAULT 0 NOT NULL,
    checkout_url text,
    credits_minted_at timestamp with time zone,
    credits_mint_lot_id uuid,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT crypto_payments_amount_usd_check CHECK (((amount_usd > (0)::numeric) AND (amount_usd < ('10000000000'::bigint)::numeric) AND (amount_usd = round(amount_usd, 2)))),
    CONSTRAINT crypto_payments_provider_check CHECK ((provider = 'nowpayments'::text)),
    CONSTRAINT crypto_payments_status_check CHECK ((status = ANY (ARRAY['waiting'::text, 'confirming'::text, 'confirmed'::text, 'sending'::text, 'partially_paid'::text, 'finished'::text, 'expired'::text, 'failed'::text, 'refunded'::text])))
);

ALTER TABLE ONLY public.crypto_payments FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE public.crypto_payments IS 'One row per payment that a tenant started. Its status only moves forward.';

COMMENT ON COLUMN public.crypto_payments.id IS 'Identity of the payment here. Fixed. Never null.';

COMMENT ON COLUMN public.crypto_payments.community_id IS 'The tenant that pays. Fixed. Never null.';

COMMENT ON COLUMN public.crypto_payments.payment_id IS 'Identity of the payment at the provider; set once. Null: the provider has not answered yet.';

COMMENT ON COLUMN public.crypto_payments.provider IS 'nowpayments. Fixed. Never null.';

COMMENT ON COLUMN public.crypto_payments.amount_usd IS 'Price in US dollars, above 0, at most two decimals; a finer amount is refused, never rounded. Fixed. Never null.';

COMMENT ON COLUMN public.crypto_payments.amount_crypto IS 'Amount in units of currency, 8 decimals. Null: not quoted yet.';

COMMENT ON COLUMN public.crypto_payments.currency IS 'Code of the coin paid in. Fixed. Never null.';

COMMENT ON COLUMN public.crypto_payments.status IS 'One of nine words of the provider. Never null.';

COMMENT ON COLUMN public.crypto_payments.status_rank IS 'Rank of status, 0 to 8; written by the trigger. Never null.';

COMMENT ON COLUMN public.crypto_payments.checkout_url IS 'Where the payer pays. Null: the provider has not answered yet.';

COMMENT ON COLUMN public.crypto_payments.credits_minted_at IS 'When the lot was minted; set once. Null: not minted.';

COMMENT ON COLUMN public.crypto_payments.credits_mint_lot_id IS 'The lot that was minted; set once. Null: not minted.';

COMMENT ON COLUMN public.crypto_payments.metadata IS 'Free notes of the application; {} if none. Never null.';

COMMENT ON COLUMN public.crypto_payments.created_at IS 'Server time at the start of the writing transaction. Fixed. Never null.';

COMMENT ON COLUMN public.crypto_payments.updated_at IS 'Server time of the last change; written by the trigger. Never null.';

CREATE TABLE public.ledger_requests (
    community_id uuid NOT NULL,
    request_key text NOT NULL,
    request jsonb NOT NULL,
    answer jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ledger_requests_request_key_check CHECK (((request_key <> ''::text) AND (length(request_key) <= 256)))
);

ALTER TABLE ONLY public.ledger_requests FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE public.ledger_requests IS 'What was done for a tenant under a key of the caller''s, so that a repeat is answered the same. Append-only.';

COMMENT ON COLUMN public.ledger_requests.community_id IS 'The tenant. Never null.';

COMMENT ON COLUMN public.ledger_requests.request_key IS 'The operation, a colon, and the caller''s key. Never null.';

COMMENT ON COLUMN public.ledger_requests.request IS 'What was asked, for comparison. Never null.';

COMMENT ON COLUMN public.ledger_requests.answer IS 'What was answered. Never null.';

COMMENT ON COLUMN public.ledger_requests.created_at IS 'When it was done, by the server''s clock. Never null.';

CREATE TABLE public.lot_entries (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    lot_id uuid NOT NULL,
    community_id uuid NOT NULL,
    entry_type text NOT NULL,
    amount_micro bigint NOT NULL,
    reservation_id text,
    usage_event_id text,
    reference_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT lot_entries_amount_micro_check CHECK ((amount_micro > 0)),
    CONSTRAINT lot_entries_entry_type_check CHECK ((entry_type = ANY (ARRAY['credit'::text, 'debit'::text, 'expiry'::text, 'credit_back'::text])))
);

ALTER TABLE ONLY public.lot_entries FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE public.lot_entries IS 'Journal of every lot. Append-only; the sign of an amount follows from entry_type.';

COMMENT ON COLUMN public.lot_entries.id IS 'Identity of the entry. Never null.';

COMMENT ON COLUMN public.lot_entries.lot_id IS 'The lot that the entry belongs to. Never null.';

COMMENT ON COLUMN public.lot_entries.community_id IS 'The tenant that owns the lot. Never null.';

COMMENT ON COLUMN public.lot_entries.entry_type IS 'credit and credit_back add, debit and expiry take away. Never null.';

COMMENT ON COLUMN public.lot_entries.amount_micro IS 'Size of the entry in micro-dollars, above 0. Never null.';

COMMENT ON COLUMN public.lot_entries.reservation_id IS 'The reservation that the entry settles; one debit a lot. Null: none.';

COMMENT ON COLUMN public.lot_entries.usage_event_id IS 'The usage event that caused the entry. Null: none.';

COMMENT ON COLUMN public.lot_entries.reference_id IS 'Payment, lot or nonce that the entry refers to. Null: none.';

COMMENT ON COLUMN public.lot_entries.created_at IS 'Server time at the start of the writing transaction; no commit order. Never null.';

CREATE VIEW public.lot_balances WITH (security_invoker='true') AS
 SELECT lot.id AS lot_id,
    lot.community_id,
    lot.source,
    lot.amount_micro AS original_micro,
    lot.status,
    lot.expires_at,
    lot.created_at,
    journal.credited_micro,
    journal.debited_micro,
    (journal.credited_micro - journal.debited_micro) AS remaining_micro
   FROM (public.credit_lots lot
     CROSS JOIN LATERAL ( SELECT (COALESCE(sum(entry.amount_micro) FILTER (WHERE (entry.entry_type = ANY (ARRAY['credit'::text, 'credit_back'::text]))), (0)::numeric))::bigint AS credited_micro,
            (COALESCE(sum(entry.amount_micro) FILTER (WHERE (entry.entry_type = ANY (ARRAY['debit'::text, 'expiry'::text]))), (0)::numeric))::bigint AS debited_micro
           FROM public.lot_entries entry
          WHERE (entry.lot_id = lot.id)) journal);

COMMENT ON VIEW public.lot_balances IS 'Balance of every lot that the caller may see, summed from the journal.';

COMMENT ON COLUMN public.lot_balances.lot_id IS 'The lot. Never null.';

COMMENT ON COLUMN public.lot_balances.community_id IS 'The tenant that owns the lot. Never null.';

COMMENT ON COLUMN public.lot_balances.source IS 'As in credit_lots. Never null.';

COMMENT ON COLUMN public.lot_balances.original_micro IS 'Amount granted, in micro-dollars. Never null.';

COMMENT ON COLUMN public.lot_balances.status IS 'As in credit_lots. Never null.';

COMMENT ON COLUMN public.lot_balances.expires_at IS 'As in credit_lots. Null: never expires.';

COMMENT ON COLUMN public.lot_balances.created_at IS 'As in credit_lots. Never null.';

COMMENT ON COLUMN public.lot_balances.credited_micro IS 'Sum of credit and credit_back, in micro-dollars; 0 without entries.';

COMMENT ON COLUMN public.lot_balances.debited_micro IS 'Sum of debit and expiry, in micro-dollars; 0 without entries.';

COMMENT ON COLUMN public.lot_balances.remaining_micro IS 'credited_micro less debited_micro, in micro-dollars. Never null.';

CREATE TABLE public.lot_totals (
    lot_id uuid NOT NULL,
    community_id uuid NOT NULL,
    amount_micro bigint NOT NULL,
    credit_micro bigint DEFAULT 0 NOT NULL,
    credit_back_micro bigint DEFAULT 0 NOT NULL,
    debit_micro bigint DEFAULT 0 NOT NULL,
    expiry_micro bigint DEFAULT 0 NOT NULL,
    remaining_micro bigint GENERATED ALWAYS AS ((((credit_micro + credit_back_micro) - debit_micro) - expiry_micro)) STORED NOT NULL,
    spend_by timestamp with time zone NOT NULL,
    minted_at timestamp with time zone NOT NULL,
    has_credit boolean GENERATED ALWAYS AS (((credit_micro + credit_back_micro) > (debit_micro + expiry_micro))) STORED NOT NULL,
    CONSTRAINT lot_totals_credit_back_in_range CHECK ((credit_back_micro <= debit_micro)),
    CONSTRAINT lot_totals_credit_in_range CHECK ((credit_micro <= amount_micro)),
    CONSTRAINT lot_totals_none_below_zero CHECK ((LEAST((amount_micro - 1), credit_micro, credit_back_micro, debit_micro, expiry_micro) >= 0)),
    CONSTRAINT lot_totals_remaining_in_range CHECK (((remaining_micro >= 0) AND (remaining_micro <= amount_micro))),
    CONSTRAINT lot_totals_turnover_in_range CHECK ((debit_micro <= '9000000000000000000'::bigint))
)
WITH (fillfactor='70');

ALTER TABLE ONLY public.lot_totals FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE public.lot_totals IS 'Sum of the journal per lot, and when the lot is spent; kept by triggers on credit_lots and lot_entries.';

COMMENT ON COLUMN public.lot_totals.lot_id IS 'The lot. Never null.';

COMMENT ON COLUMN public.lot_totals.community_id IS 'The tenant that owns the lot. Never null.';

COMMENT ON COLUMN public.lot_totals.amount_micro IS 'Amount granted, in micro-dollars, above 0, as in credit_lots. Never null.';

COMMENT ON COLUMN public.lot_totals.credit_micro IS 'Sum of credit entries, in micro-dollars. Never null.';

COMMENT ON COLUMN public.lot_totals.credit_back_micro IS 'Sum of credit_back entries, in micro-dollars. Never null.';

COMMENT ON COLUMN public.lot_totals.debit_micro IS 'Sum of debit entries, in micro-dollars. Never null.';

COMMENT ON COLUMN public.lot_totals.expiry_micro IS 'Sum of expiry entries, in micro-dollars. Never null.';

COMMENT ON COLUMN public.lot_totals.remaining_micro IS 'What may still be spent, in micro-dollars; computed. Never null.';

COMMENT ON COLUMN public.lot_totals.spend_by IS 'From this instant on the lot may not be spent: expires_at of credit_lots, `infinity` where that is null, `-infinity` once the lot''s status is expired. Never null.';

COMMENT ON COLUMN public.lot_totals.minted_at IS 'created_at of credit_lots: of lots that expire together the older one is spent first. Never null.';

COMMENT ON COLUMN public.lot_totals.has_credit IS 'Whether anything is left of it; computed. Never null.';

CREATE TABLE public.reconciliation_cursor (
    community_id uuid NOT NULL,
    last_processed_event_id uuid,
    last_fence_token bigint DEFAULT 0 NOT NULL,
    last_reconciled_at timestamp with time zone,
    drift_micro bigint DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT reconciliation_cursor_last_fence_token_check CHECK ((last_fence_token >= 0))
);

ALTER TABLE ONLY public.reconciliation_cursor FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE public.reconciliation_cursor IS 'How far reconciliation got, one row per tenant.';

COMMENT ON COLUMN public.reconciliation_cursor.community_id IS 'The tenant. Never null.';

COMMENT ON COLUMN public.reconciliation_cursor.last_processed_event_id IS 'Last usage event taken in. Null: none yet.';

COMMENT ON COLUMN public.reconciliation_cursor.last_fence_token IS 'Highest fence that wrote for the tenant, 0 or more. Never null.';

COMMENT ON COLUMN public.reconciliation_cursor.last_reconciled_at IS 'When reconciliation last ended. Null: never.';

COMMENT ON COLUMN public.reconciliation_cursor.drift_micro IS 'Difference found last, in micro-dollars, signed. Never null.';

COMMENT ON COLUMN public.reconciliation_cursor.updated_at IS 'Server time of the last change, by the writer. Never null.';

CREATE TABLE public.reservations (
    community_id uuid NOT NULL,
    reservation_id text NOT NULL,
    amount_micro bigint NOT NULL,
    lots jsonb NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    cost_micro bigint,
    charged_micro bigint,
    overrun_micro bigint,
    uncovered_micro bigint,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    resolved_at timestamp with time zone,
    CONSTRAINT reservations_amount_micro_check CHECK ((amount_micro > 0)),
    CONSTRAINT reservations_charged_micro_check CHECK ((charged_micro >= 0)),
    CONSTRAINT reservations_cost_micro_check CHECK ((cost_micro >= 0)),
    CONSTRAINT reservations_overrun_micro_check CHECK ((overrun_micro >= 0)),
    CONSTRAINT reservations_reservation_id_check CHECK (((reservation_id <> ''::text) AND (length(reservation_id) <= 200))),
    CONSTRAINT reservations_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'finalized'::text, 'released'::text, 'expired'::text]))),
    CONSTRAINT reservations_uncovered_micro_check CHECK ((uncovered_micro >= 0))
);

ALTER TABLE ONLY public.reservations FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE public.reservations IS 'Amounts that were set aside for a use. pending becomes finalized, released or expired, and stays so.';

COMMENT ON COLUMN public.reservations.community_id IS 'The tenant. Never null.';

COMMENT ON COLUMN public.reservations.reservation_id IS 'The caller''s id. Never null.';

COMMENT ON COLUMN public.reservations.amount_micro IS 'What was set aside, in micro-dollars. Never null.';

COMMENT ON COLUMN public.reservations.lots IS 'From which lots, in the order of their spending: objects of lot and micro. Never null.';

COMMENT ON COLUMN public.reservations.status IS '`pending`, or for ever `finalized`, `released` or `expired`. Never null.';

COMMENT ON COLUMN public.reservations.expires_at IS 'From this time on it cannot be finalized, and a sweep gives it back. Never null.';

COMMENT ON COLUMN public.reservations.cost_micro IS 'What the use cost, in micro-dollars. Null: not finalized.';

COMMENT ON COLUMN public.reservations.charged_micro IS 'What was taken for it, in micro-dollars. Null: not finalized.';

COMMENT ON COLUMN public.reservations.overrun_micro IS 'What it cost more than was set aside, as the mode reports it, in micro-dollars. Null: not finalized.';

COMMENT ON COLUMN public.reservations.uncovered_micro IS 'What a soft finalize could not take, in micro-dollars. Null: not finalized.';

COMMENT ON COLUMN public.reservations.created_at IS 'When it was made, by the server''s clock. Never null.';

COMMENT ON COLUMN public.reservations.resolved_at IS 'When it left pending, by the server''s clock. Null: it has not.';

CREATE TABLE public.s2s_jwks_public_keys (
    kid text NOT NULL,
    kty text DEFAULT 'EC'::text NOT NULL,
    crv text DEFAULT 'P-256'::text NOT NULL,
    x text NOT NULL,
    y text NOT NULL,
    issuer text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    CONSTRAINT s2s_jwks_public_keys_crv_check CHECK ((crv = 'P-256'::text)),
    CONSTRAINT s2s_jwks_public_keys_issuer_check CHECK ((issuer = ANY (ARRAY['freeside'::text, 'finn'::text]))),
    CONSTRAINT s2s_jwks_public_keys_kid_check CHECK ((kid <> ''::text)),
    CONSTRAINT s2s_jwks_public_keys_kty_check CHECK ((kty = 'EC'::text)),
    CONSTRAINT s2s_jwks_public_keys_x_check CHECK ((x ~ '^[A-Za-z0-9_-]{43}$'::text)),
    CONSTRAINT s2s_jwks_public_keys_y_check CHECK ((y ~ '^[A-Za-z0-9_-]{43}$'::text))
);

COMMENT ON TABLE public.s2s_jwks_public_keys IS 'Public keys with which services verify each other. Public, so under no row security. Rows stay after revocation.';

COMMENT ON COLUMN public.s2s_jwks_public_keys.kid IS 'Key id that a token names. Never null, never empty.';

COMMENT ON COLUMN public.s2s_jwks_public_keys.kty IS 'EC. Never null.';

COMMENT ON COLUMN public.s2s_jwks_public_keys.crv IS 'P-256. Never null.';

COMMENT ON COLUMN public.s2s_jwks_public_keys.x IS 'First coordinate: 32 bytes as base64url without padding, 43 characters. Never null.';

COMMENT ON COLUMN public.s2s_jwks_public_keys.y IS 'Second coordinate: 32 bytes as base64url without padding, 43 characters. Never null.';

COMMENT ON COLUMN public.s2s_jwks_public_keys.issuer IS 'The service that signs with the key: freeside or finn. Never null.';

COMMENT ON COLUMN public.s2s_jwks_public_keys.created_at IS 'Server time at the start of the writing transaction. Never null.';

COMMENT ON COLUMN public.s2s_jwks_public_keys.expires_at IS 'From this instant on the key is not served. Null: does not expire.';

COMMENT ON COLUMN public.s2s_jwks_public_keys.revoked_at IS 'When the key was withdrawn. Null: not withdrawn.';

CREATE TABLE public.tenant_totals (
    community_id uuid NOT NULL,
    minted_micro bigint NOT NULL,
    CONSTRAINT tenant_totals_minted_in_range CHECK (((minted_micro >= 1) AND (minted_micro <= '9000000000000000000'::bigint)))
);

ALTER TABLE ONLY public.tenant_totals FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE public.tenant_totals IS 'What each tenant was ever given; kept by a trigger on credit_lots.';

COMMENT ON COLUMN public.tenant_totals.community_id IS 'The tenant. Never null.';

COMMENT ON COLUMN public.tenant_totals.minted_micro IS 'Sum of amount_micro over all of its lots, whatever became of them, in micro-dollars. Never null.';

CREATE TABLE public.usage_events (
    event_id uuid NOT NULL,
    community_id uuid NOT NULL,
    nft_id text NOT NULL,
    pool_id text NOT NULL,
    tokens_input integer DEFAULT 0 NOT NULL,
    tokens_output integer DEFAULT 0 NOT NULL,
    amount_micro bigint DEFAULT 0 NOT NULL,
    reservation_id text,
    finalization_id text,
    fence_token bigint,
    conservation_guard_result boolean,
    conservation_guard_violations jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    tenant_seq bigint,
    CONSTRAINT usage_events_amount_micro_check CHECK ((amount_micro >= 0)),
    CONSTRAINT usage_events_tenant_seq_check CHECK ((tenant_seq > 0)),
    CONSTRAINT usage_events_tokens_input_check CHECK ((tokens_input >= 0)),
    CONSTRAINT usage_events_tokens_output_check CHECK ((tokens_output >= 0))
);

ALTER TABLE ONLY public.usage_events FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE public.usage_events IS 'One row per use that was paid for. Append-only.';

COMMENT ON COLUMN public.usage_events.event_id IS 'Identity, chosen by the writer, so that a repeat is seen. Never null.';

COMMENT ON COLUMN public.usage_events.community_id IS 'The tenant that used. Never null.';

COMMENT ON COLUMN public.usage_events.nft_id IS 'The member''s token. Never null.';

COMMENT ON COLUMN public.usage_events.pool_id IS 'The pool that served. Never null.';

COMMENT ON COLUMN public.usage_events.tokens_input IS 'Tokens read, 0 or more. Never null.';

COMMENT ON COLUMN public.usage_events.tokens_output IS 'Tokens written, 0 or more. Never null.';

COMMENT ON COLUMN public.usage_events.amount_micro IS 'Cost in micro-dollars, 0 or more. Never null.';

COMMENT ON COLUMN public.usage_events.reservation_id IS 'The reservation that was settled. Null: used without one.';

COMMENT ON COLUMN public.usage_events.finalization_id IS 'Identity of the settlement, unique over all tenants. Null: not settled through one.';

COMMENT ON COLUMN public.usage_events.fence_token IS 'Fence under which it was written. Null: written without a fence.';

COMMENT ON COLUMN public.usage_events.conservation_guard_result IS 'Whether the conservation guard held. Null: not evaluated.';

COMMENT ON COLUMN public.usage_events.conservation_guard_violations IS 'What the guard found. Null: nothing or not evaluated.';

COMMENT ON COLUMN public.usage_events.created_at IS 'Server time at the start of the writing transaction; no commit order. Never null.';

COMMENT ON COLUMN public.usage_events.tenant_seq IS 'Number among the tenant''s events, without gaps, in the order of their commits. Null: older than this column.';

CREATE TABLE public.usage_heads (
    community_id uuid NOT NULL,
    seq bigint NOT NULL,
    looked_seq bigint DEFAULT 0 NOT NULL,
    CONSTRAINT usage_heads_check CHECK (((looked_seq >= 0) AND (looked_seq <= seq))),
    CONSTRAINT usage_heads_seq_check CHECK ((seq > 0))
);

ALTER TABLE ONLY public.usage_heads FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE public.usage_heads IS 'The number of each tenant''s newest usage event; numbers have no gaps.';

COMMENT ON COLUMN public.usage_heads.community_id IS 'The tenant. Never null.';

COMMENT ON COLUMN public.usage_heads.seq IS 'The number. Never null.';

COMMENT ON COLUMN public.usage_heads.looked_seq IS 'The number up to which reconciliation has looked; 0: at none. Never null.';

CREATE TABLE public.webhook_events (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    provider text NOT NULL,
    event_id text NOT NULL,
    payload jsonb DEFAULT '{}'::jsonb NOT NULL,
    processed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT webhook_events_provider_check CHECK ((provider = ANY (ARRAY['nowpayments'::text, 'x402'::text])))
);

ALTER TABLE ONLY public.webhook_events FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE public.webhook_events IS 'One row per delivery that was worked on, so that a second one is seen. Append-only.';

COMMENT ON COLUMN public.webhook_events.id IS 'Identity of the row. Never null.';

COMMENT ON COLUMN public.webhook_events.provider IS 'nowpayments or x402. Never null.';

COMMENT ON COLUMN public.webhook_events.event_id IS 'What makes the delivery unique at its provider. Never null.';

COMMENT ON COLUMN public.webhook_events.payload IS 'The body as received; {} if none was kept. Never null.';

COMMENT ON COLUMN public.webhook_events.processed_at IS 'Server time at the start of the writing transaction. Never null.';

ALTER TABLE ONLY public.circuit_breakers
    ADD CONSTRAINT circuit_breakers_pkey PRIMARY KEY (community_id);

ALTER TABLE ONLY public.credit_lots
    ADD CONSTRAINT credit_lots_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.credit_lots
    ADD CONSTRAINT credit_lots_tenant_key UNIQUE (id, community_id);

ALTER TABLE ONLY public.crypto_payments
    ADD CONSTRAINT crypto_payments_payment_id_key UNIQUE (payment_id);

ALTER TABLE ONLY public.crypto_payments
    ADD CONSTRAINT crypto_payments_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ledger_requests
    ADD CONSTRAINT ledger_requests_pkey PRIMARY KEY (community_id, request_key);

ALTER TABLE ONLY public.lot_entries
    ADD CONSTRAINT lot_entries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.lot_totals
    ADD CONSTRAINT lot_totals_pkey PRIMARY KEY (lot_id);

ALTER TABLE ONLY public.reconciliation_cursor
    ADD CONSTRAINT reconciliation_cursor_pkey PRIMARY KEY (community_id);

ALTER TABLE ONLY public.reservations
    ADD CONSTRAINT reservations_pkey PRIMARY KEY (community_id, reservation_id);

ALTER TABLE ONLY public.s2s_jwks_public_keys
    ADD CONSTRAINT s2s_jwks_public_keys_pkey PRIMARY KEY (kid);

ALTER TABLE ONLY public.tenant_totals
    ADD CONSTRAINT tenant_totals_pkey PRIMARY KEY (community_id);

ALTER TABLE ONLY public.usage_events
    ADD CONSTRAINT usage_events_finalization_id_key UNIQUE (finalization_id);

ALTER TABLE ONLY public.usage_events
    ADD CONSTRAINT usage_events_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY public.usage_heads
    ADD CONSTRAINT usage_heads_pkey PRIMARY KEY (community_id);

ALTER TABLE ONLY public.webhook_events
    ADD CONSTRAINT webhook_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_events
    ADD CONSTRAINT webhook_events_provider_event_uq UNIQUE (provider, event_id);

CREATE UNIQUE INDEX credit_lots_payment_id_uq ON public.credit_lots USING btree (payment_id) WHERE (payment_id IS NOT NULL);

CREATE INDEX idx_credit_lots_community ON public.credit_lots USING btree (community_id, created_at);

CREATE INDEX idx_credit_lots_expiry ON public.credit_lots USING btree (expires_at) WHERE ((status = 'active'::text) AND (expires_at IS NOT NULL));

CREATE INDEX idx_crypto_payments_community ON public.crypto_payments USING btree (community_id, created_at);

CREATE INDEX idx_crypto_payments_pending ON public.crypto_payments USING btree (status, created_at) WHERE (status = ANY (ARRAY['waiting'::text, 'confirming'::text]));

CREATE INDEX idx_lot_entries_community ON public.lot_entries USING btree (community_id, created_at);

CREATE INDEX idx_lot_entries_credit_back ON public.lot_entries USING btree (community_id, reference_id) WHERE (entry_type = 'credit_back'::text);

CREATE INDEX idx_lot_entries_lot ON public.lot_entries USING btree (lot_id, entry_type);

CREATE UNIQUE INDEX idx_lot_entries_reservation_lot ON public.lot_entries USING btree (lot_id, reservation_id) WHERE ((reservation_id IS NOT NULL) AND (entry_type = 'debit'::text));

CREATE INDEX idx_lot_totals_spending ON public.lot_totals USING btree (community_id, spend_by, minted_at, lot_id) WHERE has_credit;

CREATE INDEX idx_reservations_due ON public.reservations USING btree (expires_at) WHERE (status = 'pending'::text);

CREATE INDEX idx_reservations_pending ON public.reservations USING btree (community_id, expires_at) INCLUDE (amount_micro) WHERE (status = 'pending'::text);

CREATE INDEX idx_s2s_jwks_pg_issuer_active ON public.s2s_jwks_public_keys USING btree (issuer, created_at) WHERE (revoked_at IS NULL);

CREATE INDEX idx_usage_events_community ON public.usage_events USING btree (community_id, created_at);

CREATE INDEX idx_usage_events_guard_failed ON public.usage_events USING btree (created_at) WHERE (conservation_guard_result = false);

CREATE INDEX idx_usage_events_nft ON public.usage_events USING btree (nft_id, created_at);

CREATE INDEX idx_usage_events_pool ON public.usage_events USING btree (pool_id, created_at);

CREATE INDEX idx_webhook_events_provider ON public.webhook_events USING btree (provider, processed_at);

CREATE UNIQUE INDEX usage_events_tenant_seq_uq ON public.usage_events USING btree (community_id, tenant_seq) WHERE (tenant_seq IS NOT NULL);

CREATE TRIGGER circuit_breakers_no_truncate BEFORE TRUNCATE ON public.circuit_breakers FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER credit_lots_add_to_tenant AFTER INSERT ON public.credit_lots FOR EACH ROW EXECUTE FUNCTION public.add_to_tenant_totals();

CREATE TRIGGER credit_lots_close_totals AFTER UPDATE ON public.credit_lots FOR EACH ROW WHEN ((new.status = 'expired'::text)) EXECUTE FUNCTION public.close_lot_totals();

CREATE TRIGGER credit_lots_no_delete BEFORE DELETE ON public.credit_lots FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

CREATE TRIGGER credit_lots_no_truncate BEFORE TRUNCATE ON public.credit_lots FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER credit_lots_no_update BEFORE UPDATE ON public.credit_lots FOR EACH STATEMENT WHEN ((COALESCE(current_setting('app.lot_status_change'::text, true), ''::text) = ''::text)) EXECUTE FUNCTION public.prevent_mutation();

CREATE TRIGGER credit_lots_open_totals AFTER INSERT ON public.credit_lots FOR EACH ROW EXECUTE FUNCTION public.open_lot_totals();

CREATE TRIGGER credit_lots_status_only BEFORE UPDATE ON public.credit_lots FOR EACH ROW EXECUTE FUNCTION public.enforce_lot_status();

CREATE TRIGGER crypto_payments_no_truncate BEFORE TRUNCATE ON public.crypto_payments FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER crypto_payments_status_monotonicity BEFORE INSERT OR UPDATE ON public.crypto_payments FOR EACH ROW EXECUTE FUNCTION public.enforce_payment_status_monotonicity();

CREATE TRIGGER ledger_requests_no_delete BEFORE DELETE ON public.ledger_requests FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

CREATE TRIGGER ledger_requests_no_truncate BEFORE TRUNCATE ON public.ledger_requests FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER ledger_requests_no_update BEFORE UPDATE ON public.ledger_requests FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

CREATE TRIGGER lot_entries_add_to_totals AFTER INSERT ON public.lot_entries REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.add_to_lot_totals();

CREATE TRIGGER lot_entries_no_delete BEFORE DELETE ON public.lot_entries FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

CREATE TRIGGER lot_entries_no_truncate BEFORE TRUNCATE ON public.lot_entries FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER lot_entries_no_update BEFORE UPDATE ON public.lot_entries FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

CREATE TRIGGER lot_totals_no_delete BEFORE DELETE ON public.lot_totals FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_direct_totals();

CREATE TRIGGER lot_totals_no_direct_write BEFORE INSERT OR UPDATE ON public.lot_totals FOR EACH STATEMENT WHEN ((pg_trigger_depth() = 0)) EXECUTE FUNCTION public.prevent_direct_totals();

CREATE TRIGGER lot_totals_no_truncate BEFORE TRUNCATE ON public.lot_totals FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER reconciliation_cursor_fence BEFORE UPDATE ON public.reconciliation_cursor FOR EACH ROW EXECUTE FUNCTION public.enforce_cursor_fence();

CREATE TRIGGER reconciliation_cursor_no_truncate BEFORE TRUNCATE ON public.reconciliation_cursor FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER reservations_no_delete BEFORE DELETE ON public.reservations FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

CREATE TRIGGER reservations_no_truncate BEFORE TRUNCATE ON public.reservations FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER reservations_status_only BEFORE UPDATE ON public.reservations FOR EACH ROW EXECUTE FUNCTION public.enforce_reservation_status();

CREATE TRIGGER s2s_jwks_public_keys_no_truncate BEFORE TRUNCATE ON public.s2s_jwks_public_keys FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER tenant_totals_no_delete BEFORE DELETE ON public.tenant_totals FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_direct_totals();

CREATE TRIGGER tenant_totals_no_direct_write BEFORE INSERT OR UPDATE ON public.tenant_totals FOR EACH STATEMENT WHEN ((pg_trigger_depth() = 0)) EXECUTE FUNCTION public.prevent_direct_totals();

CREATE TRIGGER tenant_totals_no_truncate BEFORE TRUNCATE ON public.tenant_totals FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER usage_events_no_delete BEFORE DELETE ON public.usage_events FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

CREATE TRIGGER usage_events_no_truncate BEFORE TRUNCATE ON public.usage_events FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER usage_events_no_update BEFORE UPDATE ON public.usage_events FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

CREATE TRIGGER usage_heads_no_truncate BEFORE TRUNCATE ON public.usage_heads FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER webhook_events_no_delete BEFORE DELETE ON public.webhook_events FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

CREATE TRIGGER webhook_events_no_truncate BEFORE TRUNCATE ON public.webhook_events FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER webhook_events_no_update BEFORE UPDATE ON public.webhook_events FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

ALTER TABLE ONLY public.crypto_payments
    ADD CONSTRAINT crypto_payments_lot_of_tenant FOREIGN KEY (credits_mint_lot_id, community_id) REFERENCES public.credit_lots(id, community_id);

COMMENT ON CONSTRAINT crypto_payments_lot_of_tenant ON public.crypto_payments IS 'A payment mints a lot of its own tenant.';

ALTER TABLE ONLY public.lot_entries
    ADD CONSTRAINT lot_entries_lot_of_tenant FOREIGN KEY (lot_id, community_id) REFERENCES public.credit_lots(id, community_id);

COMMENT ON CONSTRAINT lot_entries_lot_of_tenant ON public.lot_entries IS 'An entry belongs to the tenant of its lot.';

ALTER TABLE ONLY public.lot_totals
    ADD CONSTRAINT lot_totals_lot_of_tenant FOREIGN KEY (lot_id, community_id) REFERENCES public.credit_lots(id, community_id);

ALTER TABLE public.circuit_breakers ENABLE ROW LEVEL SECURITY;

CREATE POLICY circuit_breakers_system_select ON public.circuit_breakers FOR SELECT TO arrakis_admin USING (true);

CREATE POLICY circuit_breakers_tenant_insert ON public.circuit_breakers FOR INSERT WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY circuit_breakers_tenant_select ON public.circuit_breakers FOR SELECT USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY circuit_breakers_tenant_update ON public.circuit_breakers FOR UPDATE USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

ALTER TABLE public.credit_lots ENABLE ROW LEVEL SECURITY;

CREATE POLICY credit_lots_system_select ON public.credit_lots FOR SELECT TO arrakis_admin USING (true);

CREATE POLICY credit_lots_tenant_insert ON public.credit_lots FOR INSERT WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY credit_lots_tenant_select ON public.credit_lots FOR SELECT USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY credit_lots_tenant_update ON public.credit_lots FOR UPDATE USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

ALTER TABLE public.crypto_payments ENABLE ROW LEVEL SECURITY;

CREATE POLICY crypto_payments_system_select ON public.crypto_payments FOR SELECT TO arrakis_admin USING (true);

CREATE POLICY crypto_payments_tenant_insert ON public.crypto_payments FOR INSERT WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY crypto_payments_tenant_select ON public.crypto_payments FOR SELECT USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY crypto_payments_tenant_update ON public.crypto_payments FOR UPDATE USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

ALTER TABLE public.ledger_requests ENABLE ROW LEVEL SECURITY;

CREATE POLICY ledger_requests_system_select ON public.ledger_requests FOR SELECT TO arrakis_admin USING (true);

CREATE POLICY ledger_requests_tenant_insert ON public.ledger_requests FOR INSERT WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY ledger_requests_tenant_select ON public.ledger_requests FOR SELECT USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

ALTER TABLE public.lot_entries ENABLE ROW LEVEL SECURITY;

CREATE POLICY lot_entries_system_select ON public.lot_entries FOR SELECT TO arrakis_admin USING (true);

CREATE POLICY lot_entries_tenant_insert ON public.lot_entries FOR INSERT WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY lot_entries_tenant_select ON public.lot_entries FOR SELECT USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

ALTER TABLE public.lot_totals ENABLE ROW LEVEL SECURITY;

CREATE POLICY lot_totals_system_select ON public.lot_totals FOR SELECT TO arrakis_admin USING (true);

CREATE POLICY lot_totals_tenant_insert ON public.lot_totals FOR INSERT WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY lot_totals_tenant_select ON public.lot_totals FOR SELECT USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY lot_totals_tenant_update ON public.lot_totals FOR UPDATE USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

ALTER TABLE public.reconciliation_cursor ENABLE ROW LEVEL SECURITY;

CREATE POLICY reconciliation_cursor_system_select ON public.reconciliation_cursor FOR SELECT TO arrakis_admin USING (true);

CREATE POLICY reconciliation_cursor_tenant_insert ON public.reconciliation_cursor FOR INSERT WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY reconciliation_cursor_tenant_select ON public.reconciliation_cursor FOR SELECT USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY reconciliation_cursor_tenant_update ON public.reconciliation_cursor FOR UPDATE USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

ALTER TABLE public.reservations ENABLE ROW LEVEL SECURITY;

CREATE POLICY reservations_system_select ON public.reservations FOR SELECT TO arrakis_admin USING (true);

CREATE POLICY reservations_tenant_insert ON public.reservations FOR INSERT WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY reservations_tenant_select ON public.reservations FOR SELECT USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY reservations_tenant_update ON public.reservations FOR UPDATE USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

ALTER TABLE public.tenant_totals ENABLE ROW LEVEL SECURITY;

CREATE POLICY tenant_totals_system_select ON public.tenant_totals FOR SELECT TO arrakis_admin USING (true);

CREATE POLICY tenant_totals_tenant_insert ON public.tenant_totals FOR INSERT WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant_totals_tenant_select ON public.tenant_totals FOR SELECT USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant_totals_tenant_update ON public.tenant_totals FOR UPDATE USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

ALTER TABLE public.usage_events ENABLE ROW LEVEL SECURITY;

CREATE POLICY usage_events_system_select ON public.usage_events FOR SELECT TO arrakis_admin USING (true);

CREATE POLICY usage_events_tenant_insert ON public.usage_events FOR INSERT WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY usage_events_tenant_select ON public.usage_events FOR SELECT USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

ALTER TABLE public.usage_heads ENABLE ROW LEVEL SECURITY;

CREATE POLICY usage_heads_tenant_insert ON public.usage_heads FOR INSERT WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY usage_heads_tenant_select ON public.usage_heads FOR SELECT USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY usage_heads_tenant_update ON public.usage_heads FOR UPDATE USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

ALTER TABLE public.webhook_events ENABLE ROW LEVEL SECURITY;

CREATE POLICY webhook_events_system_insert ON public.webhook_events FOR INSERT TO arrakis_admin WITH CHECK (true);

CREATE POLICY webhook_events_system_select ON public.webhook_events FOR SELECT TO arrakis_admin USING (true);

GRANT USAGE ON SCHEMA app TO arrakis_app;
GRANT USAGE ON SCHEMA app TO arrakis_admin;

REVOKE ALL ON FUNCTION app.credit_back(community uuid, key text, debit_key text, amount bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION app.credit_back(community uuid, key text, debit_key text, amount bigint) TO arrakis_app;

REVOKE ALL ON FUNCTION app.current_community_id() FROM PUBLIC;
GRANT ALL ON FUNCTION app.current_community_id() TO arrakis_app;
GRANT ALL ON FUNCTION app.current_community_id() TO arrakis_admin;

REVOKE ALL ON FUNCTION app.debit(community uuid, key text, amount bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION app.debit(community uuid, key text, amount bigint) TO arrakis_app;

REVOKE ALL ON FUNCTION app.debit_many(community uuid, keys text[], amounts bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION app.debit_many(community uuid, keys text[], amounts bigint[]) TO arrakis_app;

REVOKE ALL ON FUNCTION app.done(community uuid, key text, request jsonb, answer jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION app.done(community uuid, key text, request jsonb, answer jsonb) TO arrakis_app;

REVOKE ALL ON FUNCTION app.enter_tenant(community uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION app.enter_tenant(community uuid) TO arrakis_app;

REVOKE ALL ON FUNCTION app.finalize(community uuid, finalization text, reservation text, cost bigint, mode text, fence bigint, nft text, pool text, input_tokens integer, output_tokens integer) FROM PUBLIC;
GRANT ALL ON FUNCTION app.finalize(community uuid, finalization text, reservation text, cost bigint, mode text, fence bigint, nft text, pool text, input_tokens integer, output_tokens integer) TO arrakis_app;

REVOKE ALL ON FUNCTION app.give_back(community uuid, lots jsonb, amount bigint, skip bigint, reference text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.give_back(community uuid, lots jsonb, amount bigint, skip bigint, reference text) TO arrakis_app;

REVOKE ALL ON FUNCTION app.is_amount(amount bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION app.is_amount(amount bigint) TO arrakis_app;

REVOKE ALL ON FUNCTION app.is_open(community uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION app.is_open(community uuid) TO arrakis_app;

REVOKE ALL ON FUNCTION app.mint(community uuid, key text, origin text, amount bigint, expires timestamp with time zone, payment text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.mint(community uuid, key text, origin text, amount bigint, expires timestamp with time zone, payment text) TO arrakis_app;

REVOKE ALL ON FUNCTION app.reconcile(community uuid, at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION app.reconcile(community uuid, at_most integer) TO arrakis_app;

REVOKE ALL ON FUNCTION app.release(community uuid, reservation text, outcome text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.release(community uuid, reservation text, outcome text) TO arrakis_app;

REVOKE ALL ON FUNCTION app.repeated(community uuid, key text, request jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION app.repeated(community uuid, key text, request jsonb) TO arrakis_app;

REVOKE ALL ON FUNCTION app.reserve(community uuid, reservation text, amount bigint, seconds integer) FROM PUBLIC;
GRANT ALL ON FUNCTION app.reserve(community uuid, reservation text, amount bigint, seconds integer) TO arrakis_app;

REVOKE ALL ON FUNCTION app.set_community_context(community uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION app.set_community_context(community uuid) TO arrakis_app;
GRANT ALL ON FUNCTION app.set_community_context(community uuid) TO arrakis_admin;

REVOKE ALL ON FUNCTION app.spendable_micro(community uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION app.spendable_micro(community uuid) TO arrakis_app;

REVOKE ALL ON FUNCTION app.sweep(community uuid, at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION app.sweep(community uuid, at_most integer) TO arrakis_app;

REVOKE ALL ON FUNCTION app.take_from_lots(community uuid, amount bigint, tag text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.take_from_lots(community uuid, amount bigint, tag text) TO arrakis_app;

REVOKE ALL ON FUNCTION app.update_lot_status(lot uuid, new_status text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.update_lot_status(lot uuid, new_status text) TO arrakis_app;

REVOKE ALL ON FUNCTION public.add_to_lot_totals() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.add_to_tenant_totals() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.close_lot_totals() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.enforce_cursor_fence() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.enforce_lot_status() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.enforce_payment_status_monotonicity() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.enforce_reservation_status() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.open_lot_totals() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.prevent_direct_totals() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.prevent_mutation() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.prevent_truncate() FROM PUBLIC;

GRANT SELECT,INSERT,UPDATE ON TABLE public.circuit_breakers TO arrakis_app;
GRANT SELECT ON TABLE public.circuit_breakers TO arrakis_admin;

GRANT SELECT,INSERT ON TABLE public.credit_lots TO arrakis_app;
GRANT SELECT ON TABLE public.credit_lots TO arrakis_admin;

GRANT SELECT,INSERT,UPDATE ON TABLE public.crypto_payments TO arrakis_app;
GRANT SELECT ON TABLE public.crypto_payments TO arrakis_admin;

GRANT SELECT,INSERT ON TABLE public.ledger_requests TO arrakis_app;
GRANT SELECT ON TABLE public.ledger_requests TO arrakis_admin;

GRANT SELECT,INSERT ON TABLE public.lot_entries TO arrakis_app;
GRANT SELECT ON TABLE public.lot_entries TO arrakis_admin;

GRANT SELECT ON TABLE public.lot_balances TO arrakis_app;
GRANT SELECT ON TABLE public.lot_balances TO arrakis_admin;

GRANT SELECT ON TABLE public.lot_totals TO arrakis_app;
GRANT SELECT ON TABLE public.lot_totals TO arrakis_admin;

GRANT SELECT,INSERT,UPDATE ON TABLE public.reconciliation_cursor TO arrakis_app;
GRANT SELECT ON TABLE public.reconciliation_cursor TO arrakis_admin;

GRANT SELECT,INSERT,UPDATE ON TABLE public.reservations TO arrakis_app;
GRANT SELECT ON TABLE public.reservations TO arrakis_admin;

GRANT SELECT,INSERT ON TABLE public.s2s_jwks_public_keys TO arrakis_app;
GRANT SELECT ON TABLE public.s2s_jwks_public_keys TO arrakis_admin;

GRANT UPDATE(expires_at) ON TABLE public.s2s_jwks_public_keys TO arrakis_app;

GRANT UPDATE(revoked_at) ON TABLE public.s2s_jwks_public_keys TO arrakis_app;

GRANT SELECT ON TABLE public.tenant_totals TO arrakis_app;
GRANT SELECT ON TABLE public.tenant_totals TO arrakis_admin;

GRANT SELECT,INSERT ON TABLE public.usage_events TO arrakis_app;
GRANT SELECT ON TABLE public.usage_events TO arrakis_admin;

GRANT SELECT,INSERT,UPDATE ON TABLE public.usage_heads TO arrakis_app;

GRANT SELECT,INSERT ON TABLE public.webhook_events TO arrakis_admin;
GRANT SELECT ON TABLE public.webhook_events TO arrakis_app;
