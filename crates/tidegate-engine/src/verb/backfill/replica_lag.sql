-- Each standby, by how many seconds it says that it is behind, what it has replayed, and where the primary is.
SELECT coalesce(nullif(application_name, ''), pid::text),
    CASE WHEN replay_lsn = pg_catalog.pg_current_wal_lsn() THEN 0 ELSE coalesce(extract(epoch FROM replay_lag), 0) END::float8,
    pg_catalog.pg_wal_lsn_diff(replay_lsn, '0/0')::int8,
    pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')::int8
FROM pg_catalog.pg_stat_replication
WHERE replay_lsn IS NOT NULL
