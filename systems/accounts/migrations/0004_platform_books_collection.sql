-- 0004: a managed user has one book in each collection.
--
-- Where there are several, all but the oldest are marked as deleted; no row goes.
--
-- Needs: 0001. Run in one transaction.

ALTER TABLE platform_books ADD COLUMN collection_id text;
UPDATE platform_books SET collection_id = 'primary' WHERE collection_id IS NULL OR btrim(collection_id) = '';
ALTER TABLE platform_books ALTER COLUMN collection_id SET DEFAULT 'primary', ALTER COLUMN collection_id SET NOT NULL;
COMMENT ON COLUMN platform_books.collection_id IS 'Which collection of the person the book is: `primary`, or another name.';

UPDATE platform_books b SET status = 'deleted', updated_at = now()
FROM (
  SELECT id, row_number() OVER (PARTITION BY workspace_id, managed_user_id, collection_id ORDER BY created_at, id) AS place
  FROM platform_books WHERE status <> 'deleted'
) ranked
WHERE ranked.id = b.id AND ranked.place > 1;

CREATE UNIQUE INDEX platform_books_collection_uq
  ON platform_books (workspace_id, managed_user_id, collection_id) WHERE status <> 'deleted';
