SELECT community_id FROM (
  SELECT lot.community_id FROM public.credit_lots AS lot JOIN public.lot_totals AS total ON total.lot_id = lot.id
  WHERE lot.expires_at <= clock_timestamp() AND (lot.status = 'active' OR total.remaining_micro > 0)
  UNION
  SELECT community_id FROM public.reservations WHERE status = 'pending' AND expires_at <= clock_timestamp()
) AS due
ORDER BY community_id
LIMIT $1
