SET check_function_bodies = false;

CREATE SCHEMA app;

COMMENT ON SCHEMA app IS 'Tenant context of the economic ledger and the functions that depend on it.';

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
BEGIN
  UPDATE public.lot_totals SET
    credit_micro      = credit_micro      + CASE NEW.entry_type WHEN 'credit'      THEN NEW.amount_micro ELSE 0 END,
    credit_back_micro = credit_back_micro + CASE NEW.entry_type WHEN 'credit_back' THEN NEW.amount_micro ELSE 0 END,
    debit_micro       = debit_micro       + CASE NEW.entry_type WHEN 'debit'       THEN NEW.amount_micro ELSE 0 END,
    expiry_micro      = expiry_micro      + CASE NEW.entry_type WHEN 'expiry'      THEN NEW.amount_micro ELSE 0 END
  WHERE lot_id = NEW.lot_id AND community_id = NEW.community_id;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Lot % has no totals for this community', NEW.lot_id
      USING ERRCODE = 'LG006', HINT = 'Check the lot id, the community and app.community_id of the entry.';
  END IF;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.add_to_lot_totals() IS 'Trigger: adds an entry to the totals of its lot; 23514 if it overdraws.';

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

CREATE FUNCTION public.open_lot_totals() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO public.lot_totals (lot_id, community_id, amount_micro)
  VALUES (NEW.id, NEW.community_id, NEW.amount_micro);
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

CREATE TABLE public.credit_lots (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    community_id uuid NOT NULL,
    source text NOT NULL,
    payment_id text,
    amount_micro bigint NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    expires_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
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
    CONSTRAINT lot_totals_amount_micro_check CHECK ((amount_micro > 0)),
    CONSTRAINT lot_totals_credit_back_in_range CHECK ((credit_back_micro <= debit_micro)),
    CONSTRAINT lot_totals_credit_back_micro_check CHECK ((credit_back_micro >= 0)),
    CONSTRAINT lot_totals_credit_in_range CHECK ((credit_micro <= amount_micro)),
    CONSTRAINT lot_totals_credit_micro_check CHECK ((credit_micro >= 0)),
    CONSTRAINT lot_totals_debit_micro_check CHECK ((debit_micro >= 0)),
    CONSTRAINT lot_totals_expiry_micro_check CHECK ((expiry_micro >= 0)),
    CONSTRAINT lot_totals_remaining_in_range CHECK (((remaining_micro >= 0) AND (remaining_micro <= amount_micro)))
);

ALTER TABLE ONLY public.lot_totals FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE public.lot_totals IS 'Sum of the journal per lot, kept by triggers on credit_lots and lot_entries.';

COMMENT ON COLUMN public.lot_totals.lot_id IS 'The lot. Never null.';

COMMENT ON COLUMN public.lot_totals.community_id IS 'The tenant that owns the lot. Never null.';

COMMENT ON COLUMN public.lot_totals.amount_micro IS 'Amount granted, in micro-dollars, as in credit_lots. Never null.';

COMMENT ON COLUMN public.lot_totals.credit_micro IS 'Sum of credit entries, in micro-dollars. Never null.';

COMMENT ON COLUMN public.lot_totals.credit_back_micro IS 'Sum of credit_back entries, in micro-dollars. Never null.';

COMMENT ON COLUMN public.lot_totals.debit_micro IS 'Sum of debit entries, in micro-dollars. Never null.';

COMMENT ON COLUMN public.lot_totals.expiry_micro IS 'Sum of expiry entries, in micro-dollars. Never null.';

COMMENT ON COLUMN public.lot_totals.remaining_micro IS 'What may still be spent, in micro-dollars; computed. Never null.';

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
    CONSTRAINT usage_events_amount_micro_check CHECK ((amount_micro >= 0)),
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

ALTER TABLE ONLY public.credit_lots
    ADD CONSTRAINT credit_lots_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.credit_lots
    ADD CONSTRAINT credit_lots_tenant_key UNIQUE (id, community_id);

ALTER TABLE ONLY public.crypto_payments
    ADD CONSTRAINT crypto_payments_payment_id_key UNIQUE (payment_id);

ALTER TABLE ONLY public.crypto_payments
    ADD CONSTRAINT crypto_payments_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.lot_entries
    ADD CONSTRAINT lot_entries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.lot_totals
    ADD CONSTRAINT lot_totals_pkey PRIMARY KEY (lot_id);

ALTER TABLE ONLY public.reconciliation_cursor
    ADD CONSTRAINT reconciliation_cursor_pkey PRIMARY KEY (community_id);

ALTER TABLE ONLY public.s2s_jwks_public_keys
    ADD CONSTRAINT s2s_jwks_public_keys_pkey PRIMARY KEY (kid);

ALTER TABLE ONLY public.usage_events
    ADD CONSTRAINT usage_events_finalization_id_key UNIQUE (finalization_id);

ALTER TABLE ONLY public.usage_events
    ADD CONSTRAINT usage_events_pkey PRIMARY KEY (event_id);

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

CREATE INDEX idx_lot_entries_lot ON public.lot_entries USING btree (lot_id, entry_type);

CREATE UNIQUE INDEX idx_lot_entries_reservation_lot ON public.lot_entries USING btree (lot_id, reservation_id) WHERE ((reservation_id IS NOT NULL) AND (entry_type = 'debit'::text));

CREATE INDEX idx_lot_totals_community ON public.lot_totals USING btree (community_id) WHERE (remaining_micro > 0);

CREATE INDEX idx_s2s_jwks_pg_issuer_active ON public.s2s_jwks_public_keys USING btree (issuer, created_at) WHERE (revoked_at IS NULL);

CREATE INDEX idx_usage_events_community ON public.usage_events USING btree (community_id, created_at);

CREATE INDEX idx_usage_events_guard_failed ON public.usage_events USING btree (created_at) WHERE (conservation_guard_result = false);

CREATE INDEX idx_usage_events_nft ON public.usage_events USING btree (nft_id, created_at);

CREATE INDEX idx_usage_events_pool ON public.usage_events USING btree (pool_id, created_at);

CREATE INDEX idx_webhook_events_provider ON public.webhook_events USING btree (provider, processed_at);

CREATE TRIGGER credit_lots_no_delete BEFORE DELETE ON public.credit_lots FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

CREATE TRIGGER credit_lots_no_truncate BEFORE TRUNCATE ON public.credit_lots FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER credit_lots_no_update BEFORE UPDATE ON public.credit_lots FOR EACH STATEMENT WHEN ((COALESCE(current_setting('app.lot_status_change'::text, true), ''::text) = ''::text)) EXECUTE FUNCTION public.prevent_mutation();

CREATE TRIGGER credit_lots_open_totals AFTER INSERT ON public.credit_lots FOR EACH ROW EXECUTE FUNCTION public.open_lot_totals();

CREATE TRIGGER credit_lots_status_only BEFORE UPDATE ON public.credit_lots FOR EACH ROW EXECUTE FUNCTION public.enforce_lot_status();

CREATE TRIGGER crypto_payments_no_truncate BEFORE TRUNCATE ON public.crypto_payments FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER crypto_payments_status_monotonicity BEFORE INSERT OR UPDATE ON public.crypto_payments FOR EACH ROW EXECUTE FUNCTION public.enforce_payment_status_monotonicity();

CREATE TRIGGER lot_entries_add_to_totals AFTER INSERT ON public.lot_entries FOR EACH ROW EXECUTE FUNCTION public.add_to_lot_totals();

CREATE TRIGGER lot_entries_no_delete BEFORE DELETE ON public.lot_entries FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

CREATE TRIGGER lot_entries_no_truncate BEFORE TRUNCATE ON public.lot_entries FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER lot_entries_no_update BEFORE UPDATE ON public.lot_entries FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

CREATE TRIGGER lot_totals_no_delete BEFORE DELETE ON public.lot_totals FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_direct_totals();

CREATE TRIGGER lot_totals_no_direct_write BEFORE INSERT OR UPDATE ON public.lot_totals FOR EACH STATEMENT WHEN ((pg_trigger_depth() = 0)) EXECUTE FUNCTION public.prevent_direct_totals();

CREATE TRIGGER lot_totals_no_truncate BEFORE TRUNCATE ON public.lot_totals FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER reconciliation_cursor_fence BEFORE UPDATE ON public.reconciliation_cursor FOR EACH ROW EXECUTE FUNCTION public.enforce_cursor_fence();

CREATE TRIGGER reconciliation_cursor_no_truncate BEFORE TRUNCATE ON public.reconciliation_cursor FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER s2s_jwks_public_keys_no_truncate BEFORE TRUNCATE ON public.s2s_jwks_public_keys FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER usage_events_no_delete BEFORE DELETE ON public.usage_events FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

CREATE TRIGGER usage_events_no_truncate BEFORE TRUNCATE ON public.usage_events FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER usage_events_no_update BEFORE UPDATE ON public.usage_events FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

CREATE TRIGGER webhook_events_no_delete BEFORE DELETE ON public.webhook_events FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

CREATE TRIGGER webhook_events_no_truncate BEFORE TRUNCATE ON public.webhook_events FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE TRIGGER webhook_events_no_update BEFORE UPDATE ON public.webhook_events FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

ALTER TABLE ONLY public.crypto_payments
    ADD CONSTRAINT crypto_payments_lot_of_tenant FOREIGN KEY (credits_mint_lot_id, community_id) REFERENCES public.credit_lots(id, community_id);

COMMENT ON CONSTRAINT crypto_payments_lot_of_tenant ON public.crypto_payments IS 'A payment mints a lot of its own tenant.';

ALTER TABLE ONLY public.lot_entries
    ADD CONSTRAINT lot_entries_lot_id_fkey FOREIGN KEY (lot_id) REFERENCES public.credit_lots(id);

ALTER TABLE ONLY public.lot_entries
    ADD CONSTRAINT lot_entries_lot_of_tenant FOREIGN KEY (lot_id, community_id) REFERENCES public.credit_lots(id, community_id);

COMMENT ON CONSTRAINT lot_entries_lot_of_tenant ON public.lot_entries IS 'An entry belongs to the tenant of its lot.';

ALTER TABLE ONLY public.lot_totals
    ADD CONSTRAINT lot_totals_lot_of_tenant FOREIGN KEY (lot_id, community_id) REFERENCES public.credit_lots(id, community_id);

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

ALTER TABLE public.usage_events ENABLE ROW LEVEL SECURITY;

CREATE POLICY usage_events_system_select ON public.usage_events FOR SELECT TO arrakis_admin USING (true);

CREATE POLICY usage_events_tenant_insert ON public.usage_events FOR INSERT WITH CHECK ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY usage_events_tenant_select ON public.usage_events FOR SELECT USING ((community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS "nullif")));

ALTER TABLE public.webhook_events ENABLE ROW LEVEL SECURITY;

CREATE POLICY webhook_events_system_insert ON public.webhook_events FOR INSERT TO arrakis_admin WITH CHECK (true);

CREATE POLICY webhook_events_system_select ON public.webhook_events FOR SELECT TO arrakis_admin USING (true);

GRANT USAGE ON SCHEMA app TO arrakis_app;
GRANT USAGE ON SCHEMA app TO arrakis_admin;

REVOKE ALL ON FUNCTION app.current_community_id() FROM PUBLIC;
GRANT ALL ON FUNCTION app.current_community_id() TO arrakis_app;
GRANT ALL ON FUNCTION app.current_community_id() TO arrakis_admin;

REVOKE ALL ON FUNCTION app.set_community_context(community uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION app.set_community_context(community uuid) TO arrakis_app;
GRANT ALL ON FUNCTION app.set_community_context(community uuid) TO arrakis_admin;

REVOKE ALL ON FUNCTION app.update_lot_status(lot uuid, new_status text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.update_lot_status(lot uuid, new_status text) TO arrakis_app;

REVOKE ALL ON FUNCTION public.add_to_lot_totals() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.enforce_cursor_fence() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.enforce_lot_status() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.enforce_payment_status_monotonicity() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.open_lot_totals() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.prevent_direct_totals() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.prevent_mutation() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.prevent_truncate() FROM PUBLIC;

GRANT SELECT,INSERT ON TABLE public.credit_lots TO arrakis_app;
GRANT SELECT ON TABLE public.credit_lots TO arrakis_admin;

GRANT SELECT,INSERT,UPDATE ON TABLE public.crypto_payments TO arrakis_app;
GRANT SELECT ON TABLE public.crypto_payments TO arrakis_admin;

GRANT SELECT,INSERT ON TABLE public.lot_entries TO arrakis_app;
GRANT SELECT ON TABLE public.lot_entries TO arrakis_admin;

GRANT SELECT ON TABLE public.lot_balances TO arrakis_app;
GRANT SELECT ON TABLE public.lot_balances TO arrakis_admin;

GRANT SELECT ON TABLE public.lot_totals TO arrakis_app;
GRANT SELECT ON TABLE public.lot_totals TO arrakis_admin;

GRANT SELECT,INSERT,UPDATE ON TABLE public.reconciliation_cursor TO arrakis_app;
GRANT SELECT ON TABLE public.reconciliation_cursor TO arrakis_admin;

GRANT SELECT,INSERT ON TABLE public.s2s_jwks_public_keys TO arrakis_app;
GRANT SELECT ON TABLE public.s2s_jwks_public_keys TO arrakis_admin;

GRANT UPDATE(expires_at) ON TABLE public.s2s_jwks_public_keys TO arrakis_app;

GRANT UPDATE(revoked_at) ON TABLE public.s2s_jwks_public_keys TO arrakis_app;

GRANT SELECT,INSERT ON TABLE public.usage_events TO arrakis_app;
GRANT SELECT ON TABLE public.usage_events TO arrakis_admin;

GRANT SELECT,INSERT ON TABLE public.webhook_events TO arrakis_admin;
GRANT SELECT ON TABLE public.webhook_events TO arrakis_app;
