UPDATE vfs_freeze
SET epoch = epoch + 1,
    frozen_until = clock_timestamp() + make_interval(secs => $1),
    reason = $2,
    actor = $3
RETURNING epoch
