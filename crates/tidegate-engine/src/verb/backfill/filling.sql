-- The triggers $2 of the table $1, with what changes when one of them or its function is changed.
SELECT pg_catalog.concat_ws(' ', t.oid, t.xmin, t.tgfoid, p.xmin) AS mark, t.xmin::text AS made_by,
    t.tgenabled IN ('O', 'A') AS enabled, t.tgtype AS kind
FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
WHERE t.tgrelid = $1::text::regclass AND t.tgname = ANY ($2::text[]) AND NOT t.tgisinternal
ORDER BY t.oid
