-- Every lot and what is left of it, as one text.
SELECT coalesce(string_agg(lot_id || ' ' || remaining_micro, ', ' ORDER BY lot_id), 'none') FROM public.lot_balances
