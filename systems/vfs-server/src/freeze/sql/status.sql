SELECT epoch,
       coalesce(frozen_until > clock_timestamp(), false),
       to_char(frozen_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
       reason,
       actor
FROM vfs_freeze
