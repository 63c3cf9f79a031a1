SELECT row_to_json(broken)::text FROM (
  SELECT community_id AS community, count(*) AS events, min(tenant_seq) AS first, max(tenant_seq) AS last
  FROM public.usage_events WHERE tenant_seq IS NOT NULL
  GROUP BY community_id HAVING count(*) <> max(tenant_seq) OR min(tenant_seq) <> 1
  ORDER BY community_id LIMIT 21
) AS broken
