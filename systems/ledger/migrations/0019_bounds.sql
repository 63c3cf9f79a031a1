-- 0019: bounds, so that no sum that the ledger makes leaves the range of bigint; and one reference less.
--
-- An amount is at most 10^16 micro-dollars. What a tenant's lots were minted with, over its whole life, is at most
-- 9 × 10^18, and so is what was ever debited of one lot, counting what came back and was debited again. From these
-- follows every other sum: credit ≤ amount and credit_back ≤ debit for each lot, so both together are below 2^63; what is
-- left, set aside, spent or expired of a tenant is at most what it was minted.
--
-- Rows that are beyond stop the migration, which names them (LG010) and changes nothing.
--
-- lot_entries_lot_id_fkey said whether a lot is anybody's, and so told a tenant of another tenant's lots.
-- lot_entries_lot_of_tenant is over the same column, and both its columns are never null: nothing is lost with the other.
--
-- The system role reads what was answered, so that it can be held against the journal.
--
-- SQLSTATEs: 23514 beyond a bound, LG010 rows that are beyond it already.
-- Needs: 0018. Run in one transaction.

CREATE TABLE public.tenant_totals (
  community_id uuid   PRIMARY KEY,
  minted_micro bigint NOT NULL CONSTRAINT tenant_totals_minted_in_range CHECK (minted_micro BETWEEN 1 AND 9000000000000000000)
);
COMMENT ON TABLE public.tenant_totals IS 'What each tenant was ever given; kept by a trigger on credit_lots.';
COMMENT ON COLUMN public.tenant_totals.community_id IS 'The tenant. Never null.';
COMMENT ON COLUMN public.tenant_totals.minted_micro IS 'Sum of amount_micro over all of its lots, whatever became of them, in micro-dollars. Never null.';

-- Rows of every tenant are read here, by a plain owner, too: forced row security would show it none of them.
-- All come back within this transaction, which holds the tables for itself.
ALTER TABLE public.credit_lots NO FORCE ROW LEVEL SECURITY;
ALTER TABLE public.lot_totals NO FORCE ROW LEVEL SECURITY;
DO $$
DECLARE
  beyond text;
BEGIN
  SELECT string_agg(found.row, '; ') INTO beyond FROM (
    (SELECT format('lot %s of tenant %s: amount_micro %s', id, community_id, amount_micro) AS row
     FROM public.credit_lots WHERE amount_micro > 10000000000000000 ORDER BY community_id, id LIMIT 20)
    UNION ALL
    (SELECT format('lot %s of tenant %s: debit_micro %s', lot_id, community_id, debit_micro)
     FROM public.lot_totals WHERE debit_micro > 9000000000000000000 ORDER BY community_id, lot_id LIMIT 20)
    UNION ALL
    (SELECT format('tenant %s: %s minted in all', community_id, sum(amount_micro))
     FROM public.credit_lots GROUP BY community_id HAVING sum(amount_micro) > 9000000000000000000
     ORDER BY community_id LIMIT 20)
  ) AS found;
  IF beyond IS NOT NULL THEN
    RAISE EXCEPTION 'Rows are beyond what the ledger can sum: %', beyond
      USING ERRCODE = 'LG010',
            HINT = 'An amount is at most 10^16 micro-dollars; a tenant''s lots together, and the debits of one lot, 9 * 10^18. Nothing was changed. Find out who wrote these rows, and put them right before you try again.';
  END IF;
END
$$;

ALTER TABLE public.credit_lots ADD CONSTRAINT credit_lots_amount_in_range CHECK (amount_micro <= 10000000000000000);
ALTER TABLE public.lot_totals ADD CONSTRAINT lot_totals_turnover_in_range CHECK (debit_micro <= 9000000000000000000);

INSERT INTO public.tenant_totals (community_id, minted_micro)
SELECT community_id, sum(amount_micro) FROM public.credit_lots GROUP BY community_id;
ALTER TABLE public.credit_lots FORCE ROW LEVEL SECURITY;
ALTER TABLE public.lot_totals FORCE ROW LEVEL SECURITY;

ALTER TABLE public.tenant_totals ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.tenant_totals FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_totals_tenant_select ON public.tenant_totals FOR SELECT
  USING (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
-- For the owner inside the trigger; nobody else is granted INSERT or UPDATE.
CREATE POLICY tenant_totals_tenant_insert ON public.tenant_totals FOR INSERT
  WITH CHECK (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY tenant_totals_tenant_update ON public.tenant_totals FOR UPDATE
  USING (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid))
  WITH CHECK (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY tenant_totals_system_select ON public.tenant_totals FOR SELECT TO arrakis_admin USING (true);
CREATE POLICY ledger_requests_system_select ON public.ledger_requests FOR SELECT TO arrakis_admin USING (true);
GRANT SELECT ON public.tenant_totals TO arrakis_app;
GRANT SELECT ON public.tenant_totals, public.ledger_requests TO arrakis_admin;

CREATE FUNCTION public.add_to_tenant_totals() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO public.tenant_totals AS total (community_id, minted_micro) VALUES (NEW.community_id, NEW.amount_micro)
  ON CONFLICT (community_id) DO UPDATE SET minted_micro = total.minted_micro + EXCLUDED.minted_micro;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION public.add_to_tenant_totals() IS 'Trigger: adds a new lot to what its tenant was given; 23514 if that is beyond the bound.';
REVOKE ALL ON FUNCTION public.add_to_tenant_totals() FROM PUBLIC;

CREATE TRIGGER credit_lots_add_to_tenant AFTER INSERT ON public.credit_lots
  FOR EACH ROW EXECUTE FUNCTION public.add_to_tenant_totals();
-- Depth 0 is a statement that somebody sent; the trigger above writes at depth 1.
CREATE TRIGGER tenant_totals_no_direct_write BEFORE INSERT OR UPDATE ON public.tenant_totals
  FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION public.prevent_direct_totals();
CREATE TRIGGER tenant_totals_no_delete BEFORE DELETE ON public.tenant_totals
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_direct_totals();
CREATE TRIGGER tenant_totals_no_truncate BEFORE TRUNCATE ON public.tenant_totals
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();

CREATE OR REPLACE FUNCTION app.is_amount(amount bigint) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(amount > 0 AND amount <= 10000000000000000, false);

-- It does not come back with the undo, and is not there when this is done again.
ALTER TABLE public.lot_entries DROP CONSTRAINT IF EXISTS lot_entries_lot_id_fkey;

-- What is set aside for a tenant, and what of it is due, without looking at all that it ever reserved.
CREATE INDEX idx_reservations_pending ON public.reservations (community_id, expires_at) INCLUDE (amount_micro)
  WHERE status = 'pending';
