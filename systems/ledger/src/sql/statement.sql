SELECT json_build_object('communityId', $1::uuid, 'entries', coalesce(json_agg(page.entry ORDER BY page.at DESC, page.id DESC), '[]'))::text
FROM (
  SELECT entry.created_at AS at, entry.id,
         json_build_object(
           'entryId', entry.id, 'at', entry.created_at, 'type', entry.entry_type, 'amountMicro', entry.amount_micro,
           'lotId', entry.lot_id, 'source', lot.source,
           'reference', coalesce(entry.reservation_id, entry.reference_id)) AS entry
  FROM public.lot_entries AS entry JOIN public.credit_lots AS lot ON lot.id = entry.lot_id
  WHERE entry.community_id = $1
    AND ($2::uuid IS NULL
         OR (entry.created_at, entry.id) < (SELECT created_at, id FROM public.lot_entries WHERE id = $2))
  ORDER BY entry.created_at DESC, entry.id DESC
  LIMIT $3
) AS page
