UPDATE public.crypto_payments
SET status = $2,
    credits_mint_lot_id = coalesce($3, credits_mint_lot_id),
    credits_minted_at = CASE WHEN $3 IS NULL THEN credits_minted_at ELSE clock_timestamp() END,
    metadata = CASE WHEN $4::jsonb IS NULL THEN metadata ELSE metadata || jsonb_build_object('refund', $4::jsonb) END
WHERE id = $1
