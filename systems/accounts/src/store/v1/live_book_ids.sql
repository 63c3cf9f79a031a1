-- Books of a workspace that are not deleted: of these people, or all of them where none is named.
SELECT id FROM platform_books
WHERE workspace_id = $1 AND status <> 'deleted' AND (cardinality($2::text[]) = 0 OR managed_user_id = ANY ($2))
ORDER BY id
