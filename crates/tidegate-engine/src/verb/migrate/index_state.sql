SELECT i.indisvalid AND i.indisready AS valid, pg_catalog.pg_get_indexdef(i.indexrelid) AS definition,
       EXISTS (SELECT 1 FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid OR p.relid = i.indrelid) AS building
FROM pg_catalog.pg_index i
WHERE i.indexrelid = to_regclass($1)
