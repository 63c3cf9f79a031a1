SELECT json_build_object(
  'communityId', tenant.id,
  'spendableMicro', app.spendable_micro(tenant.id),
  'reservedMicro', (SELECT coalesce(sum(amount_micro), 0) FROM public.reservations
                    WHERE community_id = tenant.id AND status = 'pending'),
  'isOpen', app.is_open(tenant.id),
  'lots', (SELECT coalesce(json_agg(json_build_object(
             'lotId', lot.id, 'source', lot.source, 'status', lot.status, 'amountMicro', lot.amount_micro,
             'remainingMicro', total.remaining_micro, 'expiresAt', lot.expires_at)
             ORDER BY lot.expires_at NULLS LAST, lot.created_at, lot.id), '[]')
           FROM public.lot_totals AS total JOIN public.credit_lots AS lot ON lot.id = total.lot_id
           WHERE total.community_id = tenant.id AND total.remaining_micro > 0)
)::text
FROM (SELECT $1::uuid AS id) AS tenant
