-- Books of a account that are not deleted: of these people, or all of them where none is named.
SELECT id FROM pixbooks
WHERE account_id = $1 AND status <> 'deleted' AND (cardinality($2::text[]) = 0 OR identity_id = ANY ($2))
ORDER BY id
