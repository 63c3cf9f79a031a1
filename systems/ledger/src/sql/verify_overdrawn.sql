SELECT row_to_json(broken)::text FROM (
  SELECT lot.id AS lot, lot.community_id AS community, lot.amount_micro,
         sum(CASE WHEN entry.entry_type IN ('credit', 'credit_back') THEN entry.amount_micro ELSE -entry.amount_micro END) AS remaining
  FROM public.credit_lots AS lot JOIN public.lot_entries AS entry ON entry.lot_id = lot.id
  GROUP BY lot.id
  HAVING sum(CASE WHEN entry.entry_type IN ('credit', 'credit_back') THEN entry.amount_micro ELSE -entry.amount_micro END)
         NOT BETWEEN 0 AND lot.amount_micro
  ORDER BY lot.created_at, lot.id LIMIT 21
) AS broken
