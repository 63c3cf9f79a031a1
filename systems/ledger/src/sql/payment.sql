SELECT id, community_id, status, amount_usd::text, (amount_usd * 1000000)::bigint, credits_mint_lot_id
FROM public.crypto_payments
WHERE payment_id = $1
FOR UPDATE
