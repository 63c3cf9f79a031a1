SELECT CASE WHEN until > clock_timestamp() THEN ceil(extract(epoch FROM until - clock_timestamp()))::bigint END
FROM (
    -- A restore brings back the row of before; what is set on the database itself stays.
    SELECT greatest(frozen_until, (
        SELECT max(split_part(setting, '=', 2)::timestamptz)
        FROM pg_db_role_setting AS settings, unnest(settings.setconfig) AS setting
        WHERE settings.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND settings.setrole = 0 AND setting LIKE 'vfs.frozen_until=%'
    )) AS until
    FROM vfs_freeze
) AS frozen
