-- 0018: what a service does with the ledger: mint, debit, credit back, reserve, finalize, release, expire, reconcile.
--
-- Each operation is one function: it names the tenant itself, takes the tenant's lock, and is one round trip, also
-- through a pooler in transaction mode. What it answers is kept under the caller's key: the same request is answered the
-- same, another one under that key is a conflict. What is refused changes nothing and is not kept.
--
-- Lock order: the tenant's advisory lock; then lots, in the order of their spending. One lock a transaction, so that
-- nobody waits in a circle; another tenant's never.
--
-- A reservation debits at once and gives back what was not needed. A lot past its expiry is never spent; what comes back
-- to one expires at once.
--
-- SQLSTATEs: LG008 a reservation changed otherwise, LG009 an argument out of range.
-- Needs: 0017. Run in one transaction.

CREATE TABLE public.ledger_requests (
  community_id uuid        NOT NULL,
  request_key  text        NOT NULL CHECK (request_key <> '' AND length(request_key) <= 256),
  request      jsonb       NOT NULL,
  answer       jsonb       NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (community_id, request_key)
);
COMMENT ON TABLE public.ledger_requests IS 'What was done for a tenant under a key of the caller''s, so that a repeat is answered the same. Append-only.';
COMMENT ON COLUMN public.ledger_requests.community_id IS 'The tenant. Never null.';
COMMENT ON COLUMN public.ledger_requests.request_key IS 'The operation, a colon, and the caller''s key. Never null.';
COMMENT ON COLUMN public.ledger_requests.request IS 'What was asked, for comparison. Never null.';
COMMENT ON COLUMN public.ledger_requests.answer IS 'What was answered. Never null.';
COMMENT ON COLUMN public.ledger_requests.created_at IS 'When it was done, by the server''s clock. Never null.';

CREATE TABLE public.reservations (
  community_id    uuid        NOT NULL,
  reservation_id  text        NOT NULL CHECK (reservation_id <> '' AND length(reservation_id) <= 200),
  amount_micro    bigint      NOT NULL CHECK (amount_micro > 0),
  lots            jsonb       NOT NULL,
  status          text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'finalized', 'released', 'expired')),
  expires_at      timestamptz NOT NULL,
  cost_micro      bigint      CHECK (cost_micro >= 0),
  charged_micro   bigint      CHECK (charged_micro >= 0),
  overrun_micro   bigint      CHECK (overrun_micro >= 0),
  uncovered_micro bigint      CHECK (uncovered_micro >= 0),
  created_at      timestamptz NOT NULL DEFAULT now(),
  resolved_at     timestamptz,
  PRIMARY KEY (community_id, reservation_id)
);
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
CREATE INDEX idx_reservations_due ON public.reservations (expires_at) WHERE status = 'pending';

CREATE TABLE public.usage_heads (
  community_id uuid   PRIMARY KEY,
  seq          bigint NOT NULL CHECK (seq > 0),
  looked_seq   bigint NOT NULL DEFAULT 0 CHECK (looked_seq BETWEEN 0 AND seq)
);
COMMENT ON TABLE public.usage_heads IS 'The number of each tenant''s newest usage event; numbers have no gaps.';
COMMENT ON COLUMN public.usage_heads.looked_seq IS 'The number up to which reconciliation has looked; 0: at none. Never null.';
COMMENT ON COLUMN public.usage_heads.community_id IS 'The tenant. Never null.';
COMMENT ON COLUMN public.usage_heads.seq IS 'The number. Never null.';

CREATE TABLE public.circuit_breakers (
  community_id uuid        PRIMARY KEY,
  tripped_at   timestamptz NOT NULL DEFAULT now(),
  drift_micro  bigint      NOT NULL,
  limit_micro  bigint      NOT NULL,
  reset_at     timestamptz,
  reset_by     text
);
COMMENT ON TABLE public.circuit_breakers IS 'Tenants whose counter drifted from the journal by 5 % of their limit or more: nothing is spent until somebody has looked.';
COMMENT ON COLUMN public.circuit_breakers.community_id IS 'The tenant. Never null.';
COMMENT ON COLUMN public.circuit_breakers.tripped_at IS 'When it tripped last, by the server''s clock. Never null.';
COMMENT ON COLUMN public.circuit_breakers.drift_micro IS 'By how much, in micro-dollars. Never null.';
COMMENT ON COLUMN public.circuit_breakers.limit_micro IS 'Of which limit, in micro-dollars. Never null.';
COMMENT ON COLUMN public.circuit_breakers.reset_at IS 'When it was reset. Null: it stands.';
COMMENT ON COLUMN public.circuit_breakers.reset_by IS 'Who reset it. Null: nobody.';

ALTER TABLE public.usage_events ADD COLUMN tenant_seq bigint CHECK (tenant_seq > 0);
COMMENT ON COLUMN public.usage_events.tenant_seq IS 'Number among the tenant''s events, without gaps, in the order of their commits. Null: older than this column.';
CREATE UNIQUE INDEX usage_events_tenant_seq_uq ON public.usage_events (community_id, tenant_seq) WHERE tenant_seq IS NOT NULL;
-- What has come back of a debit is found by the debit's key.
CREATE INDEX idx_lot_entries_credit_back ON public.lot_entries (community_id, reference_id) WHERE entry_type = 'credit_back';

ALTER TABLE public.ledger_requests ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.ledger_requests FORCE ROW LEVEL SECURITY;
ALTER TABLE public.reservations ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.reservations FORCE ROW LEVEL SECURITY;
ALTER TABLE public.usage_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.usage_heads FORCE ROW LEVEL SECURITY;
ALTER TABLE public.circuit_breakers ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.circuit_breakers FORCE ROW LEVEL SECURITY;
CREATE POLICY ledger_requests_tenant_select ON public.ledger_requests FOR SELECT
  USING (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY ledger_requests_tenant_insert ON public.ledger_requests FOR INSERT
  WITH CHECK (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY reservations_tenant_select ON public.reservations FOR SELECT
  USING (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY reservations_tenant_insert ON public.reservations FOR INSERT
  WITH CHECK (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY reservations_tenant_update ON public.reservations FOR UPDATE
  USING (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid))
  WITH CHECK (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY usage_heads_tenant_select ON public.usage_heads FOR SELECT
  USING (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY usage_heads_tenant_insert ON public.usage_heads FOR INSERT
  WITH CHECK (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY usage_heads_tenant_update ON public.usage_heads FOR UPDATE
  USING (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid))
  WITH CHECK (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY circuit_breakers_tenant_select ON public.circuit_breakers FOR SELECT
  USING (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY circuit_breakers_tenant_insert ON public.circuit_breakers FOR INSERT
  WITH CHECK (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY circuit_breakers_tenant_update ON public.circuit_breakers FOR UPDATE
  USING (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid))
  WITH CHECK (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY reservations_system_select ON public.reservations FOR SELECT TO arrakis_admin USING (true);
CREATE POLICY circuit_breakers_system_select ON public.circuit_breakers FOR SELECT TO arrakis_admin USING (true);
GRANT SELECT, INSERT ON public.ledger_requests TO arrakis_app;
GRANT SELECT, INSERT, UPDATE ON public.reservations, public.usage_heads, public.circuit_breakers TO arrakis_app;
GRANT SELECT ON public.reservations, public.circuit_breakers TO arrakis_admin;

CREATE TRIGGER ledger_requests_no_update BEFORE UPDATE ON public.ledger_requests
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();
CREATE TRIGGER ledger_requests_no_delete BEFORE DELETE ON public.ledger_requests
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();
CREATE TRIGGER reservations_no_delete BEFORE DELETE ON public.reservations
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();
CREATE TRIGGER ledger_requests_no_truncate BEFORE TRUNCATE ON public.ledger_requests
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();
CREATE TRIGGER reservations_no_truncate BEFORE TRUNCATE ON public.reservations
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();
CREATE TRIGGER usage_heads_no_truncate BEFORE TRUNCATE ON public.usage_heads
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();
CREATE TRIGGER circuit_breakers_no_truncate BEFORE TRUNCATE ON public.circuit_breakers
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE FUNCTION public.enforce_reservation_status() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
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
REVOKE ALL ON FUNCTION public.enforce_reservation_status() FROM PUBLIC;
CREATE TRIGGER reservations_status_only BEFORE UPDATE ON public.reservations
  FOR EACH ROW EXECUTE FUNCTION public.enforce_reservation_status();

-- These run as whoever calls them, and every name in them is qualified: they set no search_path, which would cost at
-- each call. Those that run as the owner, above and in earlier migrations, do.

CREATE FUNCTION app.enter_tenant(community uuid) RETURNS uuid
LANGUAGE plpgsql VOLATILE
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
COMMENT ON FUNCTION app.enter_tenant(uuid) IS 'Names the tenant and takes its lock, to the end of the transaction. Who comes second sees what the first one did.';

CREATE FUNCTION app.is_amount(amount bigint) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(amount > 0 AND amount <= 9000000000000000000, false);
COMMENT ON FUNCTION app.is_amount(bigint) IS 'Whether an amount in micro-dollars can be booked.';

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
COMMENT ON FUNCTION app.repeated(uuid, text, jsonb) IS 'The answer to a request that was done before under its key, a conflict if that was another one, or null.';

CREATE FUNCTION app.done(community uuid, key text, request jsonb, answer jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
  INSERT INTO public.ledger_requests (community_id, request_key, request, answer)
  VALUES (community, key, request, answer);
  RETURN answer;
END
$$;
COMMENT ON FUNCTION app.done(uuid, text, jsonb, jsonb) IS 'Keeps an answer under its key and returns it.';

CREATE FUNCTION app.spendable_micro(community uuid) RETURNS bigint
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  moment timestamptz := clock_timestamp();
BEGIN
  RETURN (SELECT least(coalesce(sum(remaining_micro), 0), 9223372036854775807)::bigint FROM public.lot_totals
          WHERE community_id = community AND has_credit AND spend_by > moment);
END
$$;
COMMENT ON FUNCTION app.spendable_micro(uuid) IS 'What a tenant can spend now, in micro-dollars.';

CREATE FUNCTION app.is_open(community uuid) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
  RETURN NOT EXISTS (SELECT FROM public.circuit_breakers WHERE community_id = community AND reset_at IS NULL);
END
$$;
COMMENT ON FUNCTION app.is_open(uuid) IS 'Whether a tenant''s breaker lets it spend.';

CREATE FUNCTION app.take_from_lots(community uuid, amount bigint, tag text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
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
COMMENT ON FUNCTION app.take_from_lots(uuid, bigint, text) IS 'Debits an amount, earliest expiry first, then oldest; null, and nothing debited, if it is not there. The tenant''s lock is held.';

CREATE FUNCTION app.give_back(community uuid, lots jsonb, amount bigint, skip bigint, reference text) RETURNS void
LANGUAGE plpgsql VOLATILE
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
COMMENT ON FUNCTION app.give_back(uuid, jsonb, bigint, bigint, text) IS 'Credits back to the lots that were debited, the last one first, after the first `skip` micro-dollars; what comes back to a lot that is expired or refunded expires at once.';

CREATE FUNCTION app.mint(community uuid, key text, origin text, amount bigint, expires timestamptz, payment text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
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
COMMENT ON FUNCTION app.mint(uuid, text, text, bigint, timestamptz, text) IS 'Makes a lot with its credit. A payment mints once over all tenants.';

CREATE FUNCTION app.debit(community uuid, key text, amount bigint) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
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
COMMENT ON FUNCTION app.debit(uuid, text, bigint) IS 'Takes an amount from a tenant''s lots, all of it or nothing.';

CREATE FUNCTION app.debit_many(community uuid, keys text[], amounts bigint[]) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
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
COMMENT ON FUNCTION app.debit_many(uuid, text[], bigint[]) IS 'Many debits in one transaction, each answered as app.debit would, one after the other: one that is refused does not stop the others.';

CREATE FUNCTION app.credit_back(community uuid, key text, debit_key text, amount bigint) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
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
COMMENT ON FUNCTION app.credit_back(uuid, text, text, bigint) IS 'Returns what a debit took, at most that.';

CREATE FUNCTION app.reserve(community uuid, reservation text, amount bigint, seconds integer) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
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
COMMENT ON FUNCTION app.reserve(uuid, text, bigint, integer) IS 'Sets an amount aside for so many seconds.';

CREATE FUNCTION app.finalize(
  community uuid, finalization text, reservation text, cost bigint, mode text, fence bigint,
  nft text, pool text, input_tokens integer, output_tokens integer) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
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
COMMENT ON FUNCTION app.finalize(uuid, text, text, bigint, text, bigint, text, text, integer, integer) IS 'Charges what a reserved use cost, gives the rest back, and writes the usage event. A fence that is not above the last one is stale.';

CREATE FUNCTION app.release(community uuid, reservation text, outcome text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
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
COMMENT ON FUNCTION app.release(uuid, text, text) IS 'Gives a reservation back whole: `released`, or `expired` by the sweep.';

CREATE FUNCTION app.sweep(community uuid, at_most integer) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
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
COMMENT ON FUNCTION app.sweep(uuid, integer) IS 'Gives back reservations and expires lots whose time is over, at most so many of each.';

CREATE FUNCTION app.reconcile(community uuid, at_most integer) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
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
COMMENT ON FUNCTION app.reconcile(uuid, integer) IS 'Holds the next usage events of a tenant against what was charged for them, and moves the cursor behind them in the same transaction. Numbers without gaps: it cannot skip one.';

REVOKE ALL ON FUNCTION app.enter_tenant(uuid), app.is_amount(bigint), app.repeated(uuid, text, jsonb),
  app.done(uuid, text, jsonb, jsonb), app.spendable_micro(uuid), app.is_open(uuid), app.take_from_lots(uuid, bigint, text),
  app.give_back(uuid, jsonb, bigint, bigint, text), app.mint(uuid, text, text, bigint, timestamptz, text),
  app.debit(uuid, text, bigint), app.debit_many(uuid, text[], bigint[]), app.credit_back(uuid, text, text, bigint),
  app.reserve(uuid, text, bigint, integer),
  app.finalize(uuid, text, text, bigint, text, bigint, text, text, integer, integer), app.release(uuid, text, text),
  app.sweep(uuid, integer), app.reconcile(uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.enter_tenant(uuid), app.is_amount(bigint), app.repeated(uuid, text, jsonb),
  app.done(uuid, text, jsonb, jsonb), app.spendable_micro(uuid), app.is_open(uuid), app.take_from_lots(uuid, bigint, text),
  app.give_back(uuid, jsonb, bigint, bigint, text), app.mint(uuid, text, text, bigint, timestamptz, text),
  app.debit(uuid, text, bigint), app.debit_many(uuid, text[], bigint[]), app.credit_back(uuid, text, text, bigint),
  app.reserve(uuid, text, bigint, integer),
  app.finalize(uuid, text, text, bigint, text, bigint, text, text, integer, integer), app.release(uuid, text, text),
  app.sweep(uuid, integer), app.reconcile(uuid, integer) TO arrakis_app;
