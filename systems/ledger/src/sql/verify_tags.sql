SELECT row_to_json(broken)::text FROM (
  SELECT tagged.community_id AS community, tagged.reservation_id AS reservation, tagged.entries, tagged.micro
  FROM (
    -- The journal once, as in reservations_add_up; what expired as it came back bears the reservation's tag, too.
    SELECT entry.community_id, substr(entry.tag, 9) AS reservation_id, count(*) AS entries, sum(entry.amount_micro) AS micro
    FROM (
      SELECT community_id, amount_micro, CASE entry_type WHEN 'debit' THEN reservation_id ELSE reference_id END AS tag
      FROM public.lot_entries WHERE entry_type IN ('debit', 'credit_back', 'expiry')
    ) AS entry
    WHERE entry.tag LIKE 'reserve:%' OR entry.tag LIKE 'overrun:%'
    GROUP BY entry.community_id, substr(entry.tag, 9)
  ) AS tagged
  LEFT JOIN public.reservations AS held
    ON held.community_id = tagged.community_id AND held.reservation_id = tagged.reservation_id
  WHERE held.reservation_id IS NULL
  ORDER BY tagged.community_id, tagged.reservation_id LIMIT 21
) AS broken
