SELECT row_to_json(broken)::text FROM (
  SELECT lot.id AS lot, lot.community_id AS community, lot.amount_micro, coalesce(sum(entry.amount_micro), 0) AS credited
  FROM public.credit_lots AS lot
  LEFT JOIN public.lot_entries AS entry ON entry.lot_id = lot.id AND entry.entry_type = 'credit'
  GROUP BY lot.id HAVING coalesce(sum(entry.amount_micro), 0) <> lot.amount_micro
  ORDER BY lot.created_at, lot.id LIMIT 21
) AS broken
