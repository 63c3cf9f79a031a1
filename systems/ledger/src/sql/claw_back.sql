WITH before AS (
  SELECT lot_id, community_id, remaining_micro, debit_micro - credit_back_micro AS spent_micro FROM public.lot_totals
  WHERE lot_id = $1 AND community_id = $2
), taken AS (
  INSERT INTO public.lot_entries (lot_id, community_id, entry_type, amount_micro, reservation_id, reference_id)
  SELECT lot_id, community_id, 'debit', remaining_micro, $3, $3 FROM before WHERE remaining_micro > 0
  RETURNING amount_micro
)
SELECT coalesce((SELECT sum(amount_micro) FROM taken), 0)::bigint, coalesce((SELECT max(spent_micro) FROM before), 0)::bigint
