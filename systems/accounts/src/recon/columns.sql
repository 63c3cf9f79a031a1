SELECT table_name::text,
       jsonb_agg(jsonb_build_object('column_name', column_name, 'data_type', data_type, 'is_nullable', is_nullable,
                                    'column_default', column_default) ORDER BY ordinal_position)
FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = ANY ($1)
GROUP BY table_name
ORDER BY table_name
