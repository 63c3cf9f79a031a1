SELECT row_to_json(broken)::text FROM (
  SELECT held.community_id AS community, held.reservation_id AS reservation, held.status, held.amount_micro, held.charged_micro,
         journal.taken, journal.overrun, journal.returned
  FROM public.reservations AS held
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount_micro) FILTER (WHERE entry_type = 'debit' AND entry.reservation_id = 'reserve:' || held.reservation_id), 0) AS taken,
           coalesce(sum(amount_micro) FILTER (WHERE entry_type = 'debit' AND entry.reservation_id = 'overrun:' || held.reservation_id), 0) AS overrun,
           coalesce(sum(amount_micro) FILTER (WHERE entry_type = 'credit_back' AND entry.reference_id = 'reserve:' || held.reservation_id), 0) AS returned
    FROM public.lot_entries AS entry
    WHERE entry.community_id = held.community_id
      AND (entry.reservation_id IN ('reserve:' || held.reservation_id, 'overrun:' || held.reservation_id)
           OR entry.reference_id = 'reserve:' || held.reservation_id)
  ) AS journal
  WHERE journal.taken <> held.amount_micro
     OR (journal.taken + journal.overrun - journal.returned) <> CASE held.status
          WHEN 'pending' THEN held.amount_micro WHEN 'finalized' THEN held.charged_micro ELSE 0 END
  ORDER BY held.created_at, held.reservation_id LIMIT 21
) AS broken
