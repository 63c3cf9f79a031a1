WITH tenant AS (
  SELECT $1::uuid AS id
), page AS MATERIALIZED (
  SELECT row_number() OVER (ORDER BY total.spend_by, total.minted_at, total.lot_id) AS n,
         json_build_array(total.spend_by, total.minted_at, total.lot_id) AS place,
         json_build_object(
           'lotId', lot.id, 'source', lot.source, 'status', lot.status, 'amountMicro', lot.amount_micro,
           'remainingMicro', total.remaining_micro, 'expiresAt', lot.expires_at) AS lot
  FROM (
    SELECT lot_id, spend_by, minted_at, remaining_micro FROM public.lot_totals
    WHERE community_id = $1 AND has_credit
      AND (spend_by, minted_at, lot_id) > ($2::text::timestamptz, $3::text::timestamptz, $4::uuid)
    ORDER BY spend_by, minted_at, lot_id
    LIMIT $5 + 1
  ) AS total
  JOIN public.credit_lots AS lot ON lot.id = total.lot_id
)
SELECT json_build_object(
  'communityId', tenant.id,
  'spendableMicro', app.spendable_micro(tenant.id),
  'reservedMicro', (SELECT coalesce(sum(amount_micro), 0) FROM public.reservations
                    WHERE community_id = tenant.id AND status = 'pending'),
  'isOpen', app.is_open(tenant.id),
  'lots', (SELECT coalesce(json_agg(page.lot ORDER BY page.n), '[]') FROM page WHERE page.n <= $5),
  'next', (SELECT page.place FROM page WHERE page.n = $5 AND EXISTS (SELECT FROM page WHERE page.n > $5))
)::text
FROM tenant
