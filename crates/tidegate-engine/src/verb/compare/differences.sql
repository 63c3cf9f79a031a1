-- The rows that one side lacks, or that have other columns in it, by key.
WITH l AS MATERIALIZED ({left}),
r AS MATERIALIZED ({right})
SELECT CASE WHEN r.there IS NULL THEN 'missing' WHEN l.there IS NULL THEN 'extra' ELSE 'differing' END,
    to_json(ARRAY[{keys}]), to_json(ARRAY[{named}]::text[]), {left_values}, {right_values}
FROM l {join} r ON {same_key}
WHERE {differ}
ORDER BY {keys}
LIMIT {at_most}
