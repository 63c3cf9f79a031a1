INSERT INTO vfs_blob_objects (id, sha256, size_bytes, storage_key, created_by, created_at)
VALUES ('demo-0-item-1', repeat('0', 64), 1, 'demo-0-item-1', 'demo-0', now())
