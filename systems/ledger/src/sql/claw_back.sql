WITH left_over AS (
  SELECT lot_id, community_id, remaining_micro FROM public.lot_totals
  WHERE lot_id = $1 AND community_id = $2 AND remaining_micro > 0
), taken AS (
  INSERT INTO public.lot_entries (lot_id, community_id, entry_type, amount_micro, reservation_id, reference_id)
  SELECT lot_id, community_id, 'debit', remaining_micro, $3, $3 FROM left_over
  RETURNING amount_micro
)
SELECT coalesce(sum(amount_micro), 0)::bigint FROM taken
