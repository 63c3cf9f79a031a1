SELECT i.instance, i.name, i.host, i.version, i.seen_epoch, i.drained_epoch, i.override,
       pg_catalog.ceil(GREATEST(0, pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - i.beat_at)) * 1000)
           ::pg_catalog.int8
FROM tidegate.flag_instance AS i
WHERE i.flag_set = $1
  AND i.beat_at > pg_catalog.clock_timestamp() - GREATEST(i.lost_after_ms, $3) * interval '1 millisecond'
  AND (i.drained_epoch < $2 OR i.override IS NOT NULL)
ORDER BY i.name, i.instance
LIMIT 100
