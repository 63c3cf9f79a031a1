-- Debits of one micro-dollar that a tenant's one lot had, with what is kept of each; the lot's totals follow. As the
-- superuser without triggers, which would look at each row: what stands here then is what they would have let through.
SET LOCAL session_replication_role = replica;
INSERT INTO public.lot_entries (lot_id, community_id, entry_type, amount_micro, reservation_id)
SELECT lot.id, lot.community_id, 'debit', 1, 'debit:filled-' || number
FROM public.credit_lots AS lot, generate_series($2::bigint, $3::bigint) AS number WHERE lot.community_id = $1;
INSERT INTO public.ledger_requests (community_id, request_key, request, answer)
SELECT lot.community_id, 'debit:filled-' || number, '{"amountMicro": 1}',
       jsonb_build_object('status', 'debited', 'amountMicro', 1,
                          'lots', jsonb_build_array(jsonb_build_object('lot', lot.id, 'micro', 1)))
FROM public.credit_lots AS lot, generate_series($2::bigint, $3::bigint) AS number WHERE lot.community_id = $1;
UPDATE public.lot_totals SET debit_micro = debit_micro + ($3::bigint - $2::bigint + 1) WHERE community_id = $1;
