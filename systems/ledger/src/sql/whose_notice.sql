SELECT (SELECT community_id FROM public.crypto_payments WHERE payment_id = $1),
       EXISTS (SELECT FROM public.webhook_events WHERE provider = 'nowpayments' AND event_id = $2)
