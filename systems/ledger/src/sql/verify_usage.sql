SELECT row_to_json(broken)::text FROM (
  SELECT event.event_id AS event, event.community_id AS community, event.amount_micro, held.charged_micro
  FROM public.usage_events AS event
  LEFT JOIN public.reservations AS held
    ON held.community_id = event.community_id AND held.reservation_id = event.reservation_id
  WHERE event.tenant_seq IS NOT NULL AND held.charged_micro IS DISTINCT FROM event.amount_micro
  ORDER BY event.created_at, event.event_id LIMIT 21
) AS broken
