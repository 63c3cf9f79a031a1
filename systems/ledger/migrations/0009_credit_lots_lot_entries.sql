-- 0009: credit lots, their journal, and the balance that follows from it.
--
-- Both tables are append-only for everybody, the owner included. The triggers are per statement: under forced row
-- security an owner's UPDATE finds no row, and a trigger per row would never fire.
-- The one thing that changes is a lot's status, and only app.update_lot_status changes it.
--
-- SQLSTATEs of our own begin with LG: LG001 append-only, LG002 lot status.
-- Needs: 0008, role arrakis_app. Run in one transaction.

CREATE TABLE public.credit_lots (
  id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
  community_id uuid        NOT NULL,
  source       text        NOT NULL
               CHECK (source IN ('purchase', 'grant', 'seed', 'x402', 'transfer_in', 'tba_deposit')),
  payment_id   text,
  amount_micro bigint      NOT NULL CHECK (amount_micro > 0),
  status       text        NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'expired', 'depleted')),
  expires_at   timestamptz,
  created_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE public.credit_lots IS 'One row per funding event. Append-only; status moves through app.update_lot_status.';
COMMENT ON COLUMN public.credit_lots.id IS 'Identity of the lot. Never null.';
COMMENT ON COLUMN public.credit_lots.community_id IS 'The tenant that owns the lot. Never null.';
COMMENT ON COLUMN public.credit_lots.source IS 'Where the credit came from, one of six words. Never null.';
COMMENT ON COLUMN public.credit_lots.payment_id IS
  'Provider''s payment id or transaction hash; mints at most one lot over all tenants. Null: not paid for.';
COMMENT ON COLUMN public.credit_lots.amount_micro IS 'Amount granted, in micro-dollars (1 USD = 1 000 000), above 0. Never null.';
COMMENT ON COLUMN public.credit_lots.status IS 'active, expired or depleted; leaves active once. Never null.';
COMMENT ON COLUMN public.credit_lots.expires_at IS 'From this instant on the lot may not be spent. Null: never expires.';
COMMENT ON COLUMN public.credit_lots.created_at IS 'Server time at the start of the writing transaction. Never null.';

CREATE UNIQUE INDEX credit_lots_payment_id_uq ON public.credit_lots (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX idx_credit_lots_community ON public.credit_lots (community_id, created_at);
CREATE INDEX idx_credit_lots_expiry ON public.credit_lots (expires_at) WHERE status = 'active' AND expires_at IS NOT NULL;

CREATE TABLE public.lot_entries (
  id             uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
  lot_id         uuid        NOT NULL REFERENCES public.credit_lots (id),
  community_id   uuid        NOT NULL,
  entry_type     text        NOT NULL CHECK (entry_type IN ('credit', 'debit', 'expiry', 'credit_back')),
  amount_micro   bigint      NOT NULL CHECK (amount_micro > 0),
  reservation_id text,
  usage_event_id text,
  reference_id   text,
  created_at     timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE public.lot_entries IS 'Journal of every lot. Append-only; the sign of an amount follows from entry_type.';
COMMENT ON COLUMN public.lot_entries.id IS 'Identity of the entry. Never null.';
COMMENT ON COLUMN public.lot_entries.lot_id IS 'The lot that the entry belongs to. Never null.';
COMMENT ON COLUMN public.lot_entries.community_id IS 'The tenant that owns the lot. Never null.';
COMMENT ON COLUMN public.lot_entries.entry_type IS 'credit and credit_back add, debit and expiry take away. Never null.';
COMMENT ON COLUMN public.lot_entries.amount_micro IS 'Size of the entry in micro-dollars, above 0. Never null.';
COMMENT ON COLUMN public.lot_entries.reservation_id IS 'The reservation that the entry settles; one debit a lot. Null: none.';
COMMENT ON COLUMN public.lot_entries.usage_event_id IS 'The usage event that caused the entry. Null: none.';
COMMENT ON COLUMN public.lot_entries.reference_id IS 'Payment, lot or nonce that the entry refers to. Null: none.';
COMMENT ON COLUMN public.lot_entries.created_at IS
  'Server time at the start of the writing transaction; no commit order. Never null.';

CREATE INDEX idx_lot_entries_lot ON public.lot_entries (lot_id, entry_type);
CREATE INDEX idx_lot_entries_community ON public.lot_entries (community_id, created_at);
CREATE UNIQUE INDEX idx_lot_entries_reservation_lot ON public.lot_entries (lot_id, reservation_id)
  WHERE reservation_id IS NOT NULL AND entry_type = 'debit';

-- Row security. The tenant is a scalar subquery, so it is computed once a statement and can drive an index.
ALTER TABLE public.credit_lots ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.credit_lots FORCE ROW LEVEL SECURITY;
ALTER TABLE public.lot_entries ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.lot_entries FORCE ROW LEVEL SECURITY;

CREATE POLICY credit_lots_tenant_select ON public.credit_lots FOR SELECT
  USING (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY credit_lots_tenant_insert ON public.credit_lots FOR INSERT
  WITH CHECK (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
-- Nobody but the owner may UPDATE, and the owner only inside app.update_lot_status: it must see the tenant's own lot.
CREATE POLICY credit_lots_tenant_update ON public.credit_lots FOR UPDATE
  USING (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid))
  WITH CHECK (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY lot_entries_tenant_select ON public.lot_entries FOR SELECT
  USING (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY lot_entries_tenant_insert ON public.lot_entries FOR INSERT
  WITH CHECK (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));

GRANT SELECT, INSERT ON public.credit_lots, public.lot_entries TO arrakis_app;

CREATE FUNCTION public.prevent_mutation() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
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
REVOKE ALL ON FUNCTION public.prevent_mutation() FROM PUBLIC;

-- app.update_lot_status names the one lot that it changes; whoever else updates the table has named none.
CREATE TRIGGER credit_lots_no_update BEFORE UPDATE ON public.credit_lots
  FOR EACH STATEMENT WHEN (coalesce(current_setting('app.lot_status_change', true), '') = '')
  EXECUTE FUNCTION public.prevent_mutation();
CREATE TRIGGER credit_lots_no_delete BEFORE DELETE ON public.credit_lots
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();
CREATE TRIGGER lot_entries_no_update BEFORE UPDATE ON public.lot_entries
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();
CREATE TRIGGER lot_entries_no_delete BEFORE DELETE ON public.lot_entries
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

-- The caller's row security applies (security_invoker), so the view shows a tenant no more than the tables do.
CREATE VIEW public.lot_balances WITH (security_invoker = true) AS
SELECT lot.id                                        AS lot_id,
       lot.community_id,
       lot.source,
       lot.amount_micro                              AS original_micro,
       lot.status,
       lot.expires_at,
       lot.created_at,
       journal.credited_micro,
       journal.debited_micro,
       journal.credited_micro - journal.debited_micro AS remaining_micro
FROM public.credit_lots AS lot
CROSS JOIN LATERAL (
  SELECT coalesce(sum(entry.amount_micro) FILTER (WHERE entry.entry_type IN ('credit', 'credit_back')), 0)::bigint
           AS credited_micro,
         coalesce(sum(entry.amount_micro) FILTER (WHERE entry.entry_type IN ('debit', 'expiry')), 0)::bigint
           AS debited_micro
  FROM public.lot_entries AS entry
  WHERE entry.lot_id = lot.id
) AS journal;
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
GRANT SELECT ON public.lot_balances TO arrakis_app;

CREATE FUNCTION app.update_lot_status(lot uuid, new_status text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
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
COMMENT ON FUNCTION app.update_lot_status(uuid, text) IS
  'Moves one active lot of the current tenant to expired or depleted; again is no error. P0001 without tenant, LG002 for another tenant''s lot or another move. Locks that row only.';
REVOKE ALL ON FUNCTION app.update_lot_status(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.update_lot_status(uuid, text) TO arrakis_app;
