INSERT INTO platform_schema_migrations (id, checksum)
VALUES ($1, encode(sha256(convert_to($2, 'UTF8')), 'hex'))
