SELECT row_to_json(broken)::text FROM (
  SELECT lot.id AS lot, lot.community_id AS community, total.remaining_micro AS total,
         coalesce(journal.remaining, 0) AS journal
  FROM public.credit_lots AS lot
  LEFT JOIN public.lot_totals AS total ON total.lot_id = lot.id
  LEFT JOIN LATERAL (
    SELECT sum(CASE WHEN entry_type IN ('credit', 'credit_back') THEN amount_micro ELSE -amount_micro END) AS remaining,
           coalesce(sum(amount_micro) FILTER (WHERE entry_type = 'debit'), 0) AS debited
    FROM public.lot_entries WHERE lot_id = lot.id
  ) AS journal ON true
  WHERE total.lot_id IS NULL OR total.remaining_micro IS DISTINCT FROM coalesce(journal.remaining, 0)
     OR total.debit_micro IS DISTINCT FROM journal.debited
     OR total.minted_at IS DISTINCT FROM lot.created_at
     OR total.spend_by IS DISTINCT FROM CASE lot.status WHEN 'expired' THEN '-infinity' ELSE coalesce(lot.expires_at, 'infinity') END
  ORDER BY lot.created_at, lot.id LIMIT 21
) AS broken
