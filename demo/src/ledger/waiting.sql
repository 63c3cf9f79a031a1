-- Whether the runner has waited a while for somebody's lock on the lots.
SELECT EXISTS (
  SELECT FROM pg_locks AS wanted JOIN pg_stat_activity AS session USING (pid)
  WHERE NOT wanted.granted AND session.application_name LIKE 'tidegate%'
    AND wanted.relation = to_regclass('public.credit_lots')
    AND wanted.waitstart < clock_timestamp() - interval '1200 milliseconds')
