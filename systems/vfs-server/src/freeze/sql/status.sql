SELECT epoch,
       coalesce(greatest(frozen_until, held_until) > clock_timestamp(), false),
       to_char(frozen_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
       reason,
       actor,
       CASE WHEN held_until > clock_timestamp()
            THEN to_char(held_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') END
FROM vfs_freeze, (
    SELECT max(split_part(setting, '=', 2)::timestamptz) AS held_until
    FROM pg_db_role_setting AS settings, unnest(settings.setconfig) AS setting
    WHERE settings.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND settings.setrole = 0 AND setting LIKE 'vfs.frozen_until=%'
) AS held
