DELETE FROM pixbook_snapshots WHERE id = ANY ($1)
