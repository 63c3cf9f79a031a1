SELECT payment_id FROM public.crypto_payments
WHERE status IN ('waiting', 'confirming', 'confirmed', 'sending', 'partially_paid') AND payment_id IS NOT NULL
  AND updated_at < clock_timestamp() - make_interval(secs => $1)
ORDER BY updated_at
LIMIT $2
