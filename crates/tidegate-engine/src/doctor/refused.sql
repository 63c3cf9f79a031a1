-- Refused rows by step: how many, and what the newest was refused with. Those of runs that are over count as well.
SELECT r.step, count(*), (array_agg(r.message ORDER BY r.at DESC))[1]
FROM tidegate.refused r
GROUP BY r.step
ORDER BY 1
LIMIT 100
