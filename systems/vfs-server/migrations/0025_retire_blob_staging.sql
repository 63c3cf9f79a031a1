-- 0025: vfs_blob_staging and vfs_blob_refs go, if everything in them stands in vfs_registry and vfs_links.
--
-- Every refusal leaves everything untouched; once applied, applying it again does nothing.
--
-- Run in one transaction.

DO $v025$
DECLARE
  listing text;
BEGIN
  IF NOT EXISTS (SELECT FROM schema_migrations WHERE version = 24) THEN
    RAISE EXCEPTION 'v025 abort: migration 24 is not applied';
  END IF;
  -- The servers' writes hold this lock shared: while it is held here none is open, and none begins.
  PERFORM pg_advisory_xact_lock(7337001);

  IF to_regclass('public.vfs_blob_staging') IS NOT NULL THEN
    LOCK TABLE public.vfs_blob_staging IN ACCESS EXCLUSIVE MODE;
    IF EXISTS (
      SELECT FROM public.vfs_blob_staging AS legacy
      LEFT JOIN vfs_links AS link ON link.id = legacy.id
      LEFT JOIN vfs_registry AS item ON item.id = legacy.id
      WHERE link.id IS NULL OR item.id IS NULL OR item.object_type <> 'blobStage'
    ) THEN
      RAISE EXCEPTION 'v025 abort: legacy staged rows missing flattened blobStage representation';
    END IF;
    -- A stage goes on while the legacy row stands still: only what ended may not have changed.
    SELECT string_agg(legacy.id, ', ' ORDER BY legacy.id) INTO listing
    FROM public.vfs_blob_staging AS legacy
    JOIN vfs_links AS link ON link.id = legacy.id
    JOIN vfs_registry AS item ON item.id = legacy.id
    WHERE link.parent_id <> legacy.id OR link.child_id <> legacy.blob_id
       OR item.owner_id IS DISTINCT FROM legacy.staged_by
       OR link.wrapped_session_key NOT IN ('blob-stage:staged', 'blob-stage:attached', 'blob-stage:abandoned')
       OR (legacy.status <> 'staged' AND link.wrapped_session_key <> 'blob-stage:' || legacy.status)
       OR link.visible_children ->> 'status' IS DISTINCT FROM substr(link.wrapped_session_key, 12)
       OR (link.visible_children ->> 'expiresAt')::timestamptz IS DISTINCT FROM legacy.expires_at;
    IF listing IS NOT NULL THEN
      RAISE EXCEPTION 'v025 abort: flattened stages differ from their legacy rows: %', left(listing, 2000);
    END IF;
  END IF;

  IF to_regclass('public.vfs_blob_refs') IS NOT NULL THEN
    LOCK TABLE public.vfs_blob_refs IN ACCESS EXCLUSIVE MODE;
    SELECT string_agg(kept.id, ', ' ORDER BY kept.id) INTO listing
    FROM (
      SELECT legacy.id, legacy.item_id, legacy.blob_id, legacy.attached_by, legacy.attached_at,
             CASE count(*) OVER (PARTITION BY legacy.blob_id, legacy.item_id)
               WHEN 1 THEN legacy.relation_kind ELSE choice.relation_kind END AS kind
      FROM public.vfs_blob_refs AS legacy
      LEFT JOIN vfs_blob_ref_choices AS choice USING (blob_id, item_id)
    ) AS kept
    LEFT JOIN vfs_links AS link ON link.parent_id = kept.item_id AND link.child_id = kept.blob_id
    WHERE link.id IS NULL
       OR link.wrapped_session_key IS DISTINCT FROM 'blob-link:' || kept.kind
       OR link.visible_children ->> 'relationKind' IS DISTINCT FROM kept.kind
       OR (link.id = kept.id
           AND (link.visible_children ->> 'attachedBy', link.created_at)
               IS DISTINCT FROM (kept.attached_by, kept.attached_at));
    IF listing IS NOT NULL THEN
      RAISE EXCEPTION 'v025 abort: legacy attachments missing flattened blob links: %', left(listing, 2000);
    END IF;
  END IF;

  IF EXISTS (
    SELECT FROM vfs_registry AS item
    WHERE item.object_type = 'blobStage'
      AND NOT EXISTS (SELECT FROM vfs_links AS link WHERE link.id = item.id AND link.parent_id = item.id)
  ) THEN
    RAISE EXCEPTION 'v025 abort: blobStage items without their link';
  END IF;
  IF EXISTS (
    SELECT FROM vfs_links AS link
    LEFT JOIN vfs_registry AS stage ON stage.id = link.id
    LEFT JOIN vfs_registry AS blob ON blob.id = link.child_id
    WHERE link.parent_id = link.id AND link.wrapped_session_key LIKE 'blob-stage:%'
      AND (stage.object_type IS DISTINCT FROM 'blobStage' OR blob.object_type IS DISTINCT FROM 'blob')
  ) THEN
    RAISE EXCEPTION 'v025 abort: links of stages without their blobStage item or their blob';
  END IF;

  IF EXISTS (
    SELECT FROM vfs_legacy_writes WHERE table_name IN ('vfs_blob_staging', 'vfs_blob_refs') AND writes > 0
  ) THEN
    RAISE EXCEPTION 'v025 abort: legacy tables were written since v024';
  END IF;
  SELECT string_agg(instance || ' (' || version || ')', ', ' ORDER BY instance) INTO listing
  FROM vfs_instances_too_old(27);
  IF listing IS NOT NULL THEN
    RAISE EXCEPTION 'v025 abort: instances that may use the legacy tables are running: %', listing;
  END IF;

  IF to_regclass('public.vfs_blob_refs') IS NOT NULL THEN
    DROP TABLE public.vfs_blob_refs;
  END IF;
  IF to_regclass('public.vfs_blob_staging') IS NOT NULL THEN
    DROP TABLE public.vfs_blob_staging;
  END IF;
  INSERT INTO schema_migrations (version, applied_at) VALUES (25, now()) ON CONFLICT (version) DO NOTHING;
END
$v025$;
