-- Adds to what is known of today.
INSERT INTO account_alias_uses AS known (client, used_on, uses, last_used_at)
SELECT client, (clock_timestamp() AT TIME ZONE 'UTC')::date, uses, clock_timestamp()
FROM unnest($1::text[], $2::bigint[]) AS counted (client, uses)
ON CONFLICT (client, used_on) DO UPDATE SET
  uses = known.uses + excluded.uses, last_used_at = greatest(known.last_used_at, excluded.last_used_at)
