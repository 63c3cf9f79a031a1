-- 0012: what refers to a lot names the lot's tenant, too.
--
-- A foreign key looks up rows without row security: with the lot's id alone, one tenant could book a debit on another
-- tenant's lot. Fails, leaving nothing, if a stored row already does.
--
-- Needs: 0010. Run in one transaction.

-- Every tenant's rows must be looked at. The validation of a foreign key reads them as the owner, under forced row
-- security, and would find nothing to object to. Forced again within this transaction, which holds the tables for itself.
ALTER TABLE public.credit_lots NO FORCE ROW LEVEL SECURITY;
ALTER TABLE public.lot_entries NO FORCE ROW LEVEL SECURITY;
ALTER TABLE public.crypto_payments NO FORCE ROW LEVEL SECURITY;

ALTER TABLE public.credit_lots ADD CONSTRAINT credit_lots_tenant_key UNIQUE (id, community_id);
ALTER TABLE public.lot_entries ADD CONSTRAINT lot_entries_lot_of_tenant
  FOREIGN KEY (lot_id, community_id) REFERENCES public.credit_lots (id, community_id);
-- A payment that has minted nothing names no lot, and the key then asks nothing.
ALTER TABLE public.crypto_payments ADD CONSTRAINT crypto_payments_lot_of_tenant
  FOREIGN KEY (credits_mint_lot_id, community_id) REFERENCES public.credit_lots (id, community_id);

ALTER TABLE public.credit_lots FORCE ROW LEVEL SECURITY;
ALTER TABLE public.lot_entries FORCE ROW LEVEL SECURITY;
ALTER TABLE public.crypto_payments FORCE ROW LEVEL SECURITY;

COMMENT ON CONSTRAINT lot_entries_lot_of_tenant ON public.lot_entries IS 'An entry belongs to the tenant of its lot.';
COMMENT ON CONSTRAINT crypto_payments_lot_of_tenant ON public.crypto_payments IS 'A payment mints a lot of its own tenant.';
