-- 0013: the balance of every lot as one row that the database keeps, and refuses to overdraw.
--
-- The journal stays the truth; this row is its sum, written in the same statement. An entry updates the row of its lot,
-- so two debits of one lot follow each other, and the second meets the CHECK: no double spend at any isolation level.
-- A statement with many entries updates each lot once.
--
-- Beside the sums stands what decides in which order a tenant's lots are spent, so that one index answers which is next,
-- however many there are. No indexed column changes while a lot is being spent: its row is written anew in its own page.
--
-- Per lot: credit ≤ amount; credit_back ≤ debit; 0 ≤ credit + credit_back − debit − expiry ≤ amount.
-- Fails, leaving nothing, if the journal as it stands breaks one of these.
--
-- SQLSTATEs: 23514 overdrawn; LG006 written by hand or without a row to write to.
-- Needs: 0012. Run in one transaction.

CREATE TABLE public.lot_totals (
  lot_id            uuid   PRIMARY KEY,
  community_id      uuid   NOT NULL,
  amount_micro      bigint NOT NULL,
  credit_micro      bigint NOT NULL DEFAULT 0,
  credit_back_micro bigint NOT NULL DEFAULT 0,
  debit_micro       bigint NOT NULL DEFAULT 0,
  expiry_micro      bigint NOT NULL DEFAULT 0,
  remaining_micro   bigint NOT NULL
                    GENERATED ALWAYS AS (credit_micro + credit_back_micro - debit_micro - expiry_micro) STORED,
  spend_by          timestamptz NOT NULL,
  minted_at         timestamptz NOT NULL,
  has_credit        boolean NOT NULL
                    GENERATED ALWAYS AS (credit_micro + credit_back_micro > debit_micro + expiry_micro) STORED,
  CONSTRAINT lot_totals_lot_of_tenant
    FOREIGN KEY (lot_id, community_id) REFERENCES public.credit_lots (id, community_id),
  -- One constraint for five columns: the server reads each constraint anew for each statement.
  CONSTRAINT lot_totals_none_below_zero
    CHECK (least(amount_micro - 1, credit_micro, credit_back_micro, debit_micro, expiry_micro) >= 0),
  CONSTRAINT lot_totals_credit_in_range CHECK (credit_micro <= amount_micro),
  CONSTRAINT lot_totals_credit_back_in_range CHECK (credit_back_micro <= debit_micro),
  CONSTRAINT lot_totals_remaining_in_range CHECK (remaining_micro BETWEEN 0 AND amount_micro)
) WITH (fillfactor = 70);
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

CREATE INDEX idx_lot_totals_spending ON public.lot_totals (community_id, spend_by, minted_at, lot_id) WHERE has_credit;

-- Rows of every tenant are read here, by a plain owner, too: forced row security would show it none of them.
-- Both come back within this transaction, which holds the tables for itself.
ALTER TABLE public.credit_lots NO FORCE ROW LEVEL SECURITY;
ALTER TABLE public.lot_entries NO FORCE ROW LEVEL SECURITY;
INSERT INTO public.lot_totals
  (lot_id, community_id, amount_micro, spend_by, minted_at, credit_micro, credit_back_micro, debit_micro, expiry_micro)
SELECT lot.id, lot.community_id, lot.amount_micro,
       CASE lot.status WHEN 'expired' THEN '-infinity' ELSE coalesce(lot.expires_at, 'infinity') END, lot.created_at,
       coalesce(sum(entry.amount_micro) FILTER (WHERE entry.entry_type = 'credit'), 0),
       coalesce(sum(entry.amount_micro) FILTER (WHERE entry.entry_type = 'credit_back'), 0),
       coalesce(sum(entry.amount_micro) FILTER (WHERE entry.entry_type = 'debit'), 0),
       coalesce(sum(entry.amount_micro) FILTER (WHERE entry.entry_type = 'expiry'), 0)
FROM public.credit_lots AS lot
LEFT JOIN public.lot_entries AS entry ON entry.lot_id = lot.id
GROUP BY lot.id;
ALTER TABLE public.credit_lots FORCE ROW LEVEL SECURITY;
ALTER TABLE public.lot_entries FORCE ROW LEVEL SECURITY;

ALTER TABLE public.lot_totals ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.lot_totals FORCE ROW LEVEL SECURITY;
CREATE POLICY lot_totals_tenant_select ON public.lot_totals FOR SELECT
  USING (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
-- For the owner inside the two triggers; nobody else is granted INSERT or UPDATE.
CREATE POLICY lot_totals_tenant_insert ON public.lot_totals FOR INSERT
  WITH CHECK (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY lot_totals_tenant_update ON public.lot_totals FOR UPDATE
  USING (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid))
  WITH CHECK (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
GRANT SELECT ON public.lot_totals TO arrakis_app;

CREATE FUNCTION public.open_lot_totals() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO public.lot_totals (lot_id, community_id, amount_micro, spend_by, minted_at)
  VALUES (NEW.id, NEW.community_id, NEW.amount_micro, coalesce(NEW.expires_at, 'infinity'), NEW.created_at);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION public.open_lot_totals() IS 'Trigger: gives a new lot its row of totals.';
REVOKE ALL ON FUNCTION public.open_lot_totals() FROM PUBLIC;

CREATE FUNCTION public.close_lot_totals() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
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
REVOKE ALL ON FUNCTION public.close_lot_totals() FROM PUBLIC;

CREATE FUNCTION public.add_to_lot_totals() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
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
REVOKE ALL ON FUNCTION public.add_to_lot_totals() FROM PUBLIC;

CREATE FUNCTION public.prevent_direct_totals() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE EXCEPTION '% follows from the journal: % not permitted', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'LG006', HINT = 'Insert an entry into lot_entries instead.';
END
$$;
COMMENT ON FUNCTION public.prevent_direct_totals() IS 'Trigger: refuses writes to the totals that do not come from the journal.';
REVOKE ALL ON FUNCTION public.prevent_direct_totals() FROM PUBLIC;

CREATE TRIGGER credit_lots_open_totals AFTER INSERT ON public.credit_lots
  FOR EACH ROW EXECUTE FUNCTION public.open_lot_totals();
CREATE TRIGGER credit_lots_close_totals AFTER UPDATE ON public.credit_lots
  FOR EACH ROW WHEN (NEW.status = 'expired') EXECUTE FUNCTION public.close_lot_totals();
CREATE TRIGGER lot_entries_add_to_totals AFTER INSERT ON public.lot_entries REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION public.add_to_lot_totals();
-- Depth 0 is a statement that somebody sent; the journal's triggers write at depth 1 and more.
CREATE TRIGGER lot_totals_no_direct_write BEFORE INSERT OR UPDATE ON public.lot_totals
  FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION public.prevent_direct_totals();
CREATE TRIGGER lot_totals_no_delete BEFORE DELETE ON public.lot_totals
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_direct_totals();
