-- 0026: vfs_blob_objects goes, if every blob in it stands in vfs_registry and is found by its id alone.
--
-- The key of a blob in the object store is derived from its id from here on: prefix, slash, id; without a prefix, the id.
-- Where the servers have a prefix (VFS_BLOB_S3_KEY_PREFIX), this file is told it by the setting vfs.blob_key_prefix.
--
-- Every refusal leaves everything untouched; once applied, applying it again does nothing.
--
-- Run in one transaction.

DO $v026$
DECLARE
  prefix  CONSTANT text := regexp_replace(coalesce(current_setting('vfs.blob_key_prefix', true), ''), '/$', '');
  listing text;
BEGIN
  IF NOT EXISTS (SELECT FROM schema_migrations WHERE version = 25) THEN
    RAISE EXCEPTION 'v026 abort: migration 25 is not applied';
  END IF;
  -- The servers' writes hold this lock shared: while it is held here none is open, and none begins.
  PERFORM pg_advisory_xact_lock(7337001);

  IF to_regclass('public.vfs_blob_objects') IS NOT NULL THEN
    LOCK TABLE public.vfs_blob_objects IN ACCESS EXCLUSIVE MODE;
    IF EXISTS (
      SELECT FROM public.vfs_blob_objects AS legacy
      WHERE NOT EXISTS (SELECT FROM vfs_registry AS item WHERE item.id = legacy.id AND item.object_type = 'blob')
    ) THEN
      RAISE EXCEPTION 'v026 abort: legacy blob objects missing canonical blob representation';
    END IF;
    SELECT string_agg(legacy.id, ', ' ORDER BY legacy.id) INTO listing
    FROM public.vfs_blob_objects AS legacy
    JOIN vfs_registry AS item USING (id)
    WHERE item.owner_id IS DISTINCT FROM legacy.created_by;
    IF listing IS NOT NULL THEN
      RAISE EXCEPTION 'v026 abort: blobs are others'' than their legacy rows say: %', left(listing, 2000);
    END IF;
    SELECT string_agg(id || ' at ' || storage_key, ', ' ORDER BY id) INTO listing
    FROM public.vfs_blob_objects
    WHERE storage_key <> CASE prefix WHEN '' THEN id ELSE prefix || '/' || id END;
    IF listing IS NOT NULL THEN
      RAISE EXCEPTION 'v026 abort: legacy storage keys differ from those derived from the ids: %', left(listing, 2000);
    END IF;
  END IF;

  IF EXISTS (SELECT FROM vfs_legacy_writes WHERE table_name = 'vfs_blob_objects' AND writes > 0) THEN
    RAISE EXCEPTION 'v026 abort: legacy tables were written since v024';
  END IF;
  SELECT string_agg(instance || ' (' || version || ')', ', ' ORDER BY instance) INTO listing
  FROM vfs_instances_too_old(27);
  IF listing IS NOT NULL THEN
    RAISE EXCEPTION 'v026 abort: instances that may use the legacy tables are running: %', listing;
  END IF;

  IF to_regclass('public.vfs_blob_objects') IS NOT NULL THEN
    DROP TABLE public.vfs_blob_objects;
  END IF;
  INSERT INTO schema_migrations (version, applied_at) VALUES (26, now()) ON CONFLICT (version) DO NOTHING;
END
$v026$;
