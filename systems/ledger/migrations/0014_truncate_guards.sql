-- 0014: TRUNCATE is refused on every table of the ledger, for its owner and for superusers, too.
--
-- A TRUNCATE fires no trigger for UPDATE or DELETE, and row security does not apply to it.
--
-- SQLSTATE: LG001. Needs: 0013. Run in one transaction.

CREATE FUNCTION public.prevent_truncate() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
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
REVOKE ALL ON FUNCTION public.prevent_truncate() FROM PUBLIC;

CREATE TRIGGER credit_lots_no_truncate BEFORE TRUNCATE ON public.credit_lots
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();
CREATE TRIGGER lot_entries_no_truncate BEFORE TRUNCATE ON public.lot_entries
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();
CREATE TRIGGER lot_totals_no_truncate BEFORE TRUNCATE ON public.lot_totals
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();
CREATE TRIGGER webhook_events_no_truncate BEFORE TRUNCATE ON public.webhook_events
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();
CREATE TRIGGER crypto_payments_no_truncate BEFORE TRUNCATE ON public.crypto_payments
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();
CREATE TRIGGER usage_events_no_truncate BEFORE TRUNCATE ON public.usage_events
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();
CREATE TRIGGER s2s_jwks_public_keys_no_truncate BEFORE TRUNCATE ON public.s2s_jwks_public_keys
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();
CREATE TRIGGER reconciliation_cursor_no_truncate BEFORE TRUNCATE ON public.reconciliation_cursor
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_truncate();
