UPDATE tidegate.subject
SET state = $4, detail = $5, kept = $6, tries = tries + (CASE WHEN $4 = 1 THEN 1 ELSE 0 END), changed_at = clock_timestamp()
WHERE run = $1 AND step = $2 AND subject = $3
