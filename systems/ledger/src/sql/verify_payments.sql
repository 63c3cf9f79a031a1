SELECT row_to_json(broken)::text FROM (
  SELECT payment.id AS payment, payment.community_id AS community, payment.status, payment.payment_id,
         count(lot.id) AS lots, sum(lot.amount_micro) AS minted, (payment.amount_usd * 1000000)::bigint AS expected
  FROM public.crypto_payments AS payment
  LEFT JOIN public.credit_lots AS lot ON lot.payment_id = payment.payment_id
  GROUP BY payment.id
  HAVING (payment.status = 'finished' AND count(lot.id) <> 1)
      OR (payment.status = 'refunded' AND count(lot.id) > 1)
      OR (count(lot.id) > 0 AND ( sum(lot.amount_micro) <> count(lot.id) * (payment.amount_usd * 1000000)::bigint))
      OR (payment.status NOT IN ('finished', 'refunded') AND count(lot.id) > 0)
  ORDER BY payment.created_at, payment.id LIMIT 21
) AS broken
