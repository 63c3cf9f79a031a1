SELECT max(seq)
FROM (SELECT seq FROM vfs_crdt_ops WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3) AS next
