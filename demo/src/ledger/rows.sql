-- What the application writes once the ledger is there: three lots, what was credited and spent, payments and uses.
-- Run as the application.

BEGIN;
SELECT app.set_community_context('11111111-1111-4111-8111-000000000001');

INSERT INTO public.credit_lots (id, community_id, source, amount_micro)
SELECT format('55555555-5555-4555-8555-%s', lpad(n::text, 12, '0'))::uuid, app.current_community_id(), 'grant', n * 1000000
FROM generate_series(1, 3) AS n;

INSERT INTO public.lot_entries (lot_id, community_id, entry_type, amount_micro)
SELECT id, community_id, 'credit', amount_micro FROM public.credit_lots;

INSERT INTO public.lot_entries (lot_id, community_id, entry_type, amount_micro)
SELECT id, community_id, 'debit', amount_micro / 4 FROM public.credit_lots;

INSERT INTO public.crypto_payments (community_id, amount_usd)
SELECT app.current_community_id(), n FROM generate_series(1, 2) AS n;

INSERT INTO public.usage_events (event_id, community_id, nft_id, pool_id)
SELECT gen_random_uuid(), app.current_community_id(), 'nft-' || n, 'pool-1' FROM generate_series(1, 5) AS n;
COMMIT;
