UPDATE vfs_freeze
SET epoch = epoch + 1, frozen_until = NULL, reason = NULL, actor = NULL
RETURNING epoch
