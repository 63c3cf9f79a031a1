SELECT count(*)
FROM vfs_crdt_ops o
WHERE o.seq <= $1
  AND EXISTS (
      SELECT FROM vfs_crdt_ops n
      WHERE n.item_id COLLATE "C" = o.item_id AND n.seq > o.seq
        AND (n.parent_id, n.principal_type, n.principal_id)
            IS NOT DISTINCT FROM (o.parent_id, o.principal_type, o.principal_id))
