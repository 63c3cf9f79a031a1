SELECT row_to_json(broken)::text FROM (
  SELECT lot_id AS lot, community_id AS community,
         sum(amount_micro) FILTER (WHERE entry_type = 'credit_back') AS credited_back,
         coalesce(sum(amount_micro) FILTER (WHERE entry_type = 'debit'), 0) AS debited
  FROM public.lot_entries
  GROUP BY lot_id, community_id
  HAVING sum(amount_micro) FILTER (WHERE entry_type = 'credit_back')
         > coalesce(sum(amount_micro) FILTER (WHERE entry_type = 'debit'), 0)
  ORDER BY lot_id LIMIT 21
) AS broken
