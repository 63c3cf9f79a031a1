-- 0016: what the system role may do where a tenant is not known yet.
--
-- Webhooks, sweeps and reconciliation begin with a payment id or a date, not with a tenant. arrakis_admin may look across
-- tenants. It writes none of their rows: for that it becomes the application (SET LOCAL ROLE arrakis_app) and names the
-- tenant it found, so row security holds for every write.
--
-- Needs: 0013, role arrakis_admin. Run in one transaction.

GRANT USAGE ON SCHEMA app TO arrakis_admin;
GRANT EXECUTE ON FUNCTION app.current_community_id() TO arrakis_admin;
GRANT EXECUTE ON FUNCTION app.set_community_context(uuid) TO arrakis_admin;

GRANT SELECT ON public.credit_lots, public.lot_entries, public.lot_totals, public.lot_balances,
                public.crypto_payments, public.usage_events, public.s2s_jwks_public_keys,
                public.reconciliation_cursor
  TO arrakis_admin;

-- Written out, so that the role also works where it cannot be given BYPASSRLS.
CREATE POLICY credit_lots_system_select ON public.credit_lots FOR SELECT TO arrakis_admin USING (true);
CREATE POLICY lot_entries_system_select ON public.lot_entries FOR SELECT TO arrakis_admin USING (true);
CREATE POLICY lot_totals_system_select ON public.lot_totals FOR SELECT TO arrakis_admin USING (true);
CREATE POLICY crypto_payments_system_select ON public.crypto_payments FOR SELECT TO arrakis_admin USING (true);
CREATE POLICY usage_events_system_select ON public.usage_events FOR SELECT TO arrakis_admin USING (true);
CREATE POLICY reconciliation_cursor_system_select ON public.reconciliation_cursor FOR SELECT TO arrakis_admin USING (true);
