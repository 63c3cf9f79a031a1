SELECT row_to_json(broken)::text FROM (
  -- A debit: each lot of its answer beside the entry under its key.
  SELECT coalesce(kept.community_id, entry.community_id) AS community,
         coalesce(kept.request_key, entry.reservation_id) AS key,
         jsonb_build_object('lot', kept.lot, 'micro', kept.micro) AS answered,
         jsonb_build_object('lot', entry.lot_id, 'micro', entry.amount_micro) AS journal
  FROM (
    SELECT request.community_id, request.request_key, part.value ->> 'lot' AS lot, part.value -> 'micro' AS micro
    FROM public.ledger_requests AS request
    CROSS JOIN LATERAL jsonb_array_elements(
      CASE jsonb_typeof(request.answer -> 'lots') WHEN 'array' THEN request.answer -> 'lots' ELSE '[]' END) AS part (value)
    WHERE request.request_key LIKE 'debit:%'
  ) AS kept
  FULL JOIN (
    SELECT community_id, reservation_id, lot_id, amount_micro FROM public.lot_entries
    WHERE entry_type = 'debit' AND reservation_id LIKE 'debit:%'
  ) AS entry
    ON entry.community_id = kept.community_id AND entry.reservation_id = kept.request_key AND entry.lot_id::text = kept.lot
  WHERE kept.micro IS DISTINCT FROM to_jsonb(entry.amount_micro)
  UNION ALL
  -- All that a debit says beside its lots.
  SELECT request.community_id, request.request_key, request.answer - 'lots', expected.answer
  FROM public.ledger_requests AS request
  LEFT JOIN (
    SELECT community_id, reservation_id, sum(amount_micro) AS micro FROM public.lot_entries
    WHERE entry_type = 'debit' AND reservation_id LIKE 'debit:%'
    GROUP BY community_id, reservation_id
  ) AS journal ON journal.community_id = request.community_id AND journal.reservation_id = request.request_key
  CROSS JOIN LATERAL (SELECT jsonb_build_object('status', 'debited', 'amountMicro', journal.micro) AS answer) AS expected
  WHERE request.request_key LIKE 'debit:%'
    AND (request.answer - 'lots' <> expected.answer OR request.request -> 'amountMicro' IS DISTINCT FROM to_jsonb(journal.micro))
  UNION ALL
  -- What came back of a debit: all answers that say so beside all of its entries.
  SELECT coalesce(kept.community_id, journal.community_id), 'credit_back of ' || coalesce(kept.debit, journal.debit),
         to_jsonb(kept.micro), to_jsonb(journal.micro)
  FROM (
    SELECT community_id, 'debit:' || (request ->> 'debit') AS debit,
           sum(CASE WHEN answer = jsonb_build_object('status', 'credited_back', 'amountMicro', request -> 'amountMicro')
               THEN (answer -> 'amountMicro')::numeric END) AS micro
    FROM public.ledger_requests WHERE request_key LIKE 'credit_back:%'
    GROUP BY community_id, request ->> 'debit'
  ) AS kept
  FULL JOIN (
    SELECT community_id, reference_id AS debit, sum(amount_micro) AS micro FROM public.lot_entries
    WHERE entry_type = 'credit_back' AND reference_id LIKE 'debit:%'
    GROUP BY community_id, reference_id
  ) AS journal ON journal.community_id = kept.community_id AND journal.debit = kept.debit
  WHERE kept.micro IS DISTINCT FROM journal.micro
  UNION ALL
  -- A mint: the lot that it names.
  SELECT request.community_id, request.request_key, request.answer, expected.answer
  FROM public.ledger_requests AS request
  LEFT JOIN public.credit_lots AS lot
    ON lot.community_id = request.community_id AND lot.id::text = request.answer ->> 'lotId'
  CROSS JOIN LATERAL (
    SELECT jsonb_build_object('status', 'minted', 'lotId', lot.id, 'amountMicro', lot.amount_micro) AS answer
  ) AS expected
  WHERE request.request_key LIKE 'mint:%'
    AND (request.answer <> expected.answer OR request.request ->> 'origin' IS DISTINCT FROM lot.source
         OR request.request ->> 'payment' IS DISTINCT FROM lot.payment_id
         OR request.request -> 'amountMicro' IS DISTINCT FROM to_jsonb(lot.amount_micro))
  UNION ALL
  -- A finalize: its usage event, and what its reservation keeps of it.
  SELECT coalesce(kept.community_id, used.community_id), coalesce(kept.request_key, used.finalization_id), kept.answer, used.answer
  FROM (
    SELECT community_id, request_key, community_id || ':' || substr(request_key, 10) AS finalization_id, request, answer
    FROM public.ledger_requests WHERE request_key LIKE 'finalize:%'
  ) AS kept
  FULL JOIN (
    SELECT event.community_id, event.finalization_id, event.reservation_id, held.cost_micro,
           jsonb_build_object(
             'status', 'finalized', 'eventId', event.event_id, 'seq', event.tenant_seq, 'costMicro', held.cost_micro,
             'chargedMicro', event.amount_micro, 'overrunMicro', held.overrun_micro,
             'uncoveredMicro', held.uncovered_micro) AS answer
    FROM public.usage_events AS event
    LEFT JOIN public.reservations AS held
      ON held.community_id = event.community_id AND held.reservation_id = event.reservation_id
    WHERE event.tenant_seq IS NOT NULL
  ) AS used ON used.finalization_id = kept.finalization_id
  WHERE kept.answer IS DISTINCT FROM used.answer OR kept.request ->> 'reservation' IS DISTINCT FROM used.reservation_id
     OR kept.request -> 'costMicro' IS DISTINCT FROM to_jsonb(used.cost_micro)
  ORDER BY 1, 2 LIMIT 21
) AS broken
