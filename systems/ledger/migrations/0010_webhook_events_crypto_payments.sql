-- 0010: deliveries of payment providers, and the payments they speak of.
--
-- webhook_events belongs to no tenant: a delivery arrives before anybody knows whose payment it is. Only the system role
-- arrakis_admin reads and writes it. crypto_payments belongs to tenants like a lot does.
--
-- SQLSTATEs of our own: LG003 unknown status, LG004 a move that the status does not allow, LG005 a column that is fixed.
-- Needs: 0009, roles arrakis_app and arrakis_admin. Run in one transaction.

CREATE TABLE public.webhook_events (
  id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
  provider     text        NOT NULL CHECK (provider IN ('nowpayments', 'x402')),
  event_id     text        NOT NULL,
  payload      jsonb       NOT NULL DEFAULT '{}',
  processed_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT webhook_events_provider_event_uq UNIQUE (provider, event_id)
);
COMMENT ON TABLE public.webhook_events IS 'One row per delivery that was worked on, so that a second one is seen. Append-only.';
COMMENT ON COLUMN public.webhook_events.id IS 'Identity of the row. Never null.';
COMMENT ON COLUMN public.webhook_events.provider IS 'nowpayments or x402. Never null.';
COMMENT ON COLUMN public.webhook_events.event_id IS 'What makes the delivery unique at its provider. Never null.';
COMMENT ON COLUMN public.webhook_events.payload IS 'The body as received; {} if none was kept. Never null.';
COMMENT ON COLUMN public.webhook_events.processed_at IS 'Server time at the start of the writing transaction. Never null.';

CREATE INDEX idx_webhook_events_provider ON public.webhook_events (provider, processed_at);

ALTER TABLE public.webhook_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.webhook_events FORCE ROW LEVEL SECURITY;
-- Written out, so that the table also works where the system role cannot be given BYPASSRLS.
CREATE POLICY webhook_events_system_select ON public.webhook_events FOR SELECT TO arrakis_admin USING (true);
CREATE POLICY webhook_events_system_insert ON public.webhook_events FOR INSERT TO arrakis_admin WITH CHECK (true);
GRANT SELECT, INSERT ON public.webhook_events TO arrakis_admin;
-- No policy lets the application see a row: it gets none, as without a tenant everywhere else.
GRANT SELECT ON public.webhook_events TO arrakis_app;

CREATE TRIGGER webhook_events_no_update BEFORE UPDATE ON public.webhook_events
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();
CREATE TRIGGER webhook_events_no_delete BEFORE DELETE ON public.webhook_events
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

CREATE TABLE public.crypto_payments (
  id                  uuid           PRIMARY KEY DEFAULT gen_random_uuid(),
  community_id        uuid           NOT NULL,
  payment_id          text           UNIQUE,
  provider            text           NOT NULL DEFAULT 'nowpayments' CHECK (provider = 'nowpayments'),
  amount_usd          numeric        NOT NULL
                      CHECK (amount_usd > 0 AND amount_usd < 10000000000 AND amount_usd = round(amount_usd, 2)),
  amount_crypto       numeric(24, 8),
  currency            text           NOT NULL DEFAULT 'USDT',
  status              text           NOT NULL DEFAULT 'waiting'
                      CHECK (status IN ('waiting', 'confirming', 'confirmed', 'sending', 'partially_paid',
                                        'finished', 'expired', 'failed', 'refunded')),
  status_rank         integer        NOT NULL DEFAULT 0,
  checkout_url        text,
  credits_minted_at   timestamptz,
  credits_mint_lot_id uuid,
  metadata            jsonb          NOT NULL DEFAULT '{}',
  created_at          timestamptz    NOT NULL DEFAULT now(),
  updated_at          timestamptz    NOT NULL DEFAULT now()
);
COMMENT ON TABLE public.crypto_payments IS 'One row per payment that a tenant started. Its status only moves forward.';
COMMENT ON COLUMN public.crypto_payments.id IS 'Identity of the payment here. Fixed. Never null.';
COMMENT ON COLUMN public.crypto_payments.community_id IS 'The tenant that pays. Fixed. Never null.';
COMMENT ON COLUMN public.crypto_payments.payment_id IS
  'Identity of the payment at the provider; set once. Null: the provider has not answered yet.';
COMMENT ON COLUMN public.crypto_payments.provider IS 'nowpayments. Fixed. Never null.';
COMMENT ON COLUMN public.crypto_payments.amount_usd IS
  'Price in US dollars, above 0, at most two decimals; a finer amount is refused, never rounded. Fixed. Never null.';
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

CREATE INDEX idx_crypto_payments_community ON public.crypto_payments (community_id, created_at);
CREATE INDEX idx_crypto_payments_pending ON public.crypto_payments (status, created_at)
  WHERE status IN ('waiting', 'confirming');

ALTER TABLE public.crypto_payments ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.crypto_payments FORCE ROW LEVEL SECURITY;
CREATE POLICY crypto_payments_tenant_select ON public.crypto_payments FOR SELECT
  USING (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY crypto_payments_tenant_insert ON public.crypto_payments FOR INSERT
  WITH CHECK (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY crypto_payments_tenant_update ON public.crypto_payments FOR UPDATE
  USING (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid))
  WITH CHECK (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
GRANT SELECT, INSERT, UPDATE ON public.crypto_payments TO arrakis_app;

-- waiting → confirming → confirmed → sending → partially_paid → finished | expired | failed | refunded.
-- Forward moves may skip. Keeping the status is always allowed, so that provider id, checkout url and the stamp of the
-- mint can be stored. finished, expired, failed and refunded are final, but a finished payment may be refunded.
CREATE FUNCTION public.enforce_payment_status_monotonicity() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
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
COMMENT ON FUNCTION public.enforce_payment_status_monotonicity() IS
  'Trigger: refuses unknown statuses (LG003), moves that the status does not allow (LG004), changes of fixed columns (LG005).';
REVOKE ALL ON FUNCTION public.enforce_payment_status_monotonicity() FROM PUBLIC;

CREATE TRIGGER crypto_payments_status_monotonicity BEFORE INSERT OR UPDATE ON public.crypto_payments
  FOR EACH ROW EXECUTE FUNCTION public.enforce_payment_status_monotonicity();
