-- 0013: the balance of every lot as one row that the database keeps, and refuses to overdraw.
--
-- The journal stays the truth; this row is its sum, written in the same statement. An entry updates the row of its lot,
-- so two debits of one lot follow each other, and the second meets the CHECK: no double spend at any isolation level.
--
-- Per lot: credit ≤ amount; credit_back ≤ debit; 0 ≤ credit + credit_back − debit − expiry ≤ amount.
-- Fails, leaving nothing, if the journal as it stands breaks one of these.
--
-- SQLSTATEs: 23514 overdrawn; LG006 written by hand or without a row to write to.
-- Needs: 0012. Run in one transaction.

CREATE TABLE public.lot_totals (
  lot_id            uuid   PRIMARY KEY,
  community_id      uuid   NOT NULL,
  amount_micro      bigint NOT NULL CHECK (amount_micro > 0),
  credit_micro      bigint NOT NULL DEFAULT 0 CHECK (credit_micro >= 0),
  credit_back_micro bigint NOT NULL DEFAULT 0 CHECK (credit_back_micro >= 0),
  debit_micro       bigint NOT NULL DEFAULT 0 CHECK (debit_micro >= 0),
  expiry_micro      bigint NOT NULL DEFAULT 0 CHECK (expiry_micro >= 0),
  remaining_micro   bigint NOT NULL
                    GENERATED ALWAYS AS (credit_micro + credit_back_micro - debit_micro - expiry_micro) STORED,
  CONSTRAINT lot_totals_lot_of_tenant
    FOREIGN KEY (lot_id, community_id) REFERENCES public.credit_lots (id, community_id),
  CONSTRAINT lot_totals_credit_in_range CHECK (credit_micro <= amount_micro),
  CONSTRAINT lot_totals_credit_back_in_range CHECK (credit_back_micro <= debit_micro),
  CONSTRAINT lot_totals_remaining_in_range CHECK (remaining_micro BETWEEN 0 AND amount_micro)
);
COMMENT ON TABLE public.lot_totals IS 'Sum of the journal per lot, kept by triggers on credit_lots and lot_entries.';
COMMENT ON COLUMN public.lot_totals.lot_id IS 'The lot. Never null.';
COMMENT ON COLUMN public.lot_totals.community_id IS 'The tenant that owns the lot. Never null.';
COMMENT ON COLUMN public.lot_totals.amount_micro IS 'Amount granted, in micro-dollars, as in credit_lots. Never null.';
COMMENT ON COLUMN public.lot_totals.credit_micro IS 'Sum of credit entries, in micro-dollars. Never null.';
COMMENT ON COLUMN public.lot_totals.credit_back_micro IS 'Sum of credit_back entries, in micro-dollars. Never null.';
COMMENT ON COLUMN public.lot_totals.debit_micro IS 'Sum of debit entries, in micro-dollars. Never null.';
COMMENT ON COLUMN public.lot_totals.expiry_micro IS 'Sum of expiry entries, in micro-dollars. Never null.';
COMMENT ON COLUMN public.lot_totals.remaining_micro IS 'What may still be spent, in micro-dollars; computed. Never null.';

CREATE INDEX idx_lot_totals_community ON public.lot_totals (community_id) WHERE remaining_micro > 0;

-- Rows of every tenant are read here, by a plain owner, too: forced row security would show it none of them.
-- Both come back within this transaction, which holds the tables for itself.
ALTER TABLE public.credit_lots NO FORCE ROW LEVEL SECURITY;
ALTER TABLE public.lot_entries NO FORCE ROW LEVEL SECURITY;
INSERT INTO public.lot_totals (lot_id, community_id, amount_micro, credit_micro, credit_back_micro, debit_micro, expiry_micro)
SELECT lot.id, lot.community_id, lot.amount_micro,
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
  INSERT INTO public.lot_totals (lot_id, community_id, amount_micro)
  VALUES (NEW.id, NEW.community_id, NEW.amount_micro);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION public.open_lot_totals() IS 'Trigger: gives a new lot its row of totals.';
REVOKE ALL ON FUNCTION public.open_lot_totals() FROM PUBLIC;

CREATE FUNCTION public.add_to_lot_totals() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
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
CREATE TRIGGER lot_entries_add_to_totals AFTER INSERT ON public.lot_entries
  FOR EACH ROW EXECUTE FUNCTION public.add_to_lot_totals();
-- Depth 0 is a statement that somebody sent; the journal's triggers write at depth 1 and more.
CREATE TRIGGER lot_totals_no_direct_write BEFORE INSERT OR UPDATE ON public.lot_totals
  FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION public.prevent_direct_totals();
CREATE TRIGGER lot_totals_no_delete BEFORE DELETE ON public.lot_totals
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_direct_totals();
