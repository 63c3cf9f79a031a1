SELECT row_to_json(broken)::text FROM (
  SELECT event.event_id AS event, coalesce(event.community_id, held.community_id) AS community,
         held.reservation_id AS reservation, event.amount_micro, held.charged_micro
  FROM (SELECT * FROM public.usage_events WHERE tenant_seq IS NOT NULL) AS event
  FULL JOIN (SELECT * FROM public.reservations WHERE status = 'finalized') AS held
    ON held.community_id = event.community_id AND held.reservation_id = event.reservation_id
  WHERE held.charged_micro IS DISTINCT FROM event.amount_micro
  ORDER BY coalesce(event.created_at, held.created_at), event.event_id LIMIT 21
) AS broken
