WITH head AS (
    UPDATE vfs_feed_head
    SET epoch = greatest(epoch, $1) + 1,
        at = greatest(at, date_trunc('milliseconds', clock_timestamp()))
    RETURNING epoch, seq
), begun AS (
    INSERT INTO vfs_feed_epochs (epoch, began_after_seq, started_at, reason)
    SELECT epoch, seq, clock_timestamp(), $2 FROM head
    RETURNING epoch, began_after_seq
)
SELECT epoch, began_after_seq FROM begun, pg_notify('vfs_feed', '')
