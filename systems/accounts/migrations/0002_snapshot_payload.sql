-- 0002: a snapshot may hold its content itself.
--
-- Needs: 0001. Run in one transaction.

ALTER TABLE platform_book_snapshots ADD COLUMN payload_json jsonb;
COMMENT ON COLUMN platform_book_snapshots.payload_json IS 'The content. NULL: it is elsewhere, under cipher_object_key.';
