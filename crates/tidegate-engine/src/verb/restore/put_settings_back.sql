SELECT pg_catalog.set_config(was.name, was.value, false)
FROM unnest($1::text[], $2::text[]) AS was (name, value)
JOIN pg_catalog.pg_settings s ON s.name = was.name
WHERE pg_catalog.current_setting(was.name) IS DISTINCT FROM was.value
