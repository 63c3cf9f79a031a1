SELECT l.word, l.value
FROM pg_catalog.pg_database d
CROSS JOIN LATERAL (VALUES
    ('ENCODING', pg_catalog.pg_encoding_to_char(d.encoding)::text),
    ('LC_COLLATE', d.datcollate::text),
    ('LC_CTYPE', d.datctype::text),
    ('LOCALE_PROVIDER', CASE d.datlocprovider WHEN 'i' THEN 'icu' END),
    ('ICU_LOCALE', CASE d.datlocprovider WHEN 'i' THEN pg_catalog.to_jsonb(d) ->> CASE WHEN pg_catalog.to_jsonb(d) ? 'daticulocale' THEN 'daticulocale' ELSE 'datlocale' END END)
) AS l (word, value)
WHERE d.datname = pg_catalog.current_database() AND l.value IS NOT NULL
