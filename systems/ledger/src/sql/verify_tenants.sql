SELECT row_to_json(broken)::text FROM (
  SELECT entry.id AS entry, entry.lot_id AS lot, entry.community_id AS entry_community, lot.community_id AS lot_community
  FROM public.lot_entries AS entry LEFT JOIN public.credit_lots AS lot ON lot.id = entry.lot_id
  WHERE lot.community_id IS DISTINCT FROM entry.community_id
  ORDER BY entry.created_at, entry.id LIMIT 21
) AS broken
