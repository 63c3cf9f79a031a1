INSERT INTO tidegate.subject (run, step, subject, ordinal, cells)
SELECT $1, $2, listed.subject, listed.ordinal, listed.cells
FROM unnest($3::bytea[], $4::text[]) WITH ORDINALITY AS listed (subject, cells, ordinal)
ON CONFLICT (run, step, subject) DO UPDATE SET ordinal = excluded.ordinal
