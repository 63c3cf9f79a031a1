-- What somebody else works on is left for the next look, so that nobody is waited for.
WITH ended AS (
    SELECT id
    FROM vfs_acl_entries
    WHERE revoked_at IS NULL AND end_told_of IS DISTINCT FROM expires_at AND expires_at <= now()
    ORDER BY expires_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)
UPDATE vfs_acl_entries AS entry
SET end_told_of = entry.expires_at
FROM ended
WHERE entry.id = ended.id
