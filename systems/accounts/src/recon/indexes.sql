SELECT t.relname::text,
       jsonb_agg(jsonb_build_object('index_name', i.relname, 'unique', x.indisunique, 'partial', x.indpred IS NOT NULL,
                                    'predicate', pg_get_expr(x.indpred, x.indrelid),
                                    'definition', pg_get_indexdef(x.indexrelid)) ORDER BY i.relname)
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class t ON t.oid = x.indrelid
WHERE t.relnamespace = 'public'::regnamespace AND t.relname = ANY ($1)
GROUP BY t.relname
ORDER BY t.relname
