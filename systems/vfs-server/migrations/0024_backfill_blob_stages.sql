-- 0024: legacy blobs, their stages and their attachments become items and links.
--
-- Nothing is taken away, and what is there already stays as it is: it may be applied again while the legacy tables are
-- there. Every refusal leaves everything untouched.
--
-- Run in one transaction.

DO $v024$
DECLARE
  listing text;
BEGIN
  IF NOT EXISTS (SELECT FROM schema_migrations WHERE version = 23) THEN
    RAISE EXCEPTION 'v024 abort: migration 23 is not applied';
  END IF;
  -- The servers' writes hold this lock shared: while it is held here none is open, and none begins.
  PERFORM pg_advisory_xact_lock(7337001);
  LOCK TABLE vfs_blob_objects, vfs_blob_staging, vfs_blob_refs, vfs_access IN SHARE ROW EXCLUSIVE MODE;

  IF EXISTS (
    SELECT FROM vfs_blob_objects AS legacy JOIN vfs_registry AS item USING (id) WHERE item.object_type <> 'blob'
  ) THEN
    RAISE EXCEPTION 'v024 backfill conflict: blob object id collides with non-blob vfs_registry row';
  END IF;
  -- Whose a blob or a stage is, the legacy row says: where the registry says another, somebody took it.
  SELECT string_agg(text, '; ' ORDER BY text) INTO listing
  FROM (
    SELECT format('blob %s of %s, not of %s', item.id, legacy.created_by, item.owner_id) AS text
    FROM vfs_blob_objects AS legacy JOIN vfs_registry AS item USING (id) WHERE item.owner_id <> legacy.created_by
    UNION ALL
    SELECT format('stage %s of %s, not of %s', item.id, legacy.staged_by, item.owner_id)
    FROM vfs_blob_staging AS legacy JOIN vfs_registry AS item USING (id)
    WHERE item.object_type = 'blobStage' AND item.owner_id <> legacy.staged_by
    LIMIT 100
  ) AS others;
  IF listing IS NOT NULL THEN
    RAISE EXCEPTION 'v024 abort: blobs or stages are others'' than their legacy rows say: %', listing;
  END IF;
  UPDATE vfs_registry AS item SET owner_id = legacy.created_by
  FROM vfs_blob_objects AS legacy WHERE item.id = legacy.id AND item.owner_id IS NULL;
  UPDATE vfs_registry AS item SET owner_id = legacy.staged_by
  FROM vfs_blob_staging AS legacy
  WHERE item.id = legacy.id AND item.object_type = 'blobStage' AND item.owner_id IS NULL;

  PERFORM set_config('vfs.flattening', 'on', true);
  INSERT INTO vfs_registry (id, object_type, owner_id, created_at)
  SELECT id, 'blob', created_by, created_at FROM vfs_blob_objects
  ON CONFLICT (id) DO NOTHING;

  IF EXISTS (
    SELECT FROM vfs_blob_staging AS legacy JOIN vfs_registry AS item USING (id) WHERE item.object_type <> 'blobStage'
  ) THEN
    RAISE EXCEPTION 'v024 backfill conflict: staging id collides with non-blobStage vfs_registry row';
  END IF;

  -- A link has one kind: of several for one blob and item, a person chooses.
  SELECT string_agg(format('blob %s, item %s: %s', blob_id, item_id, kinds), '; ' ORDER BY blob_id, item_id)
  INTO listing
  FROM (
    SELECT blob_id, item_id, string_agg(relation_kind, ', ' ORDER BY relation_kind) AS kinds
    FROM vfs_blob_refs AS ref
    GROUP BY blob_id, item_id
    HAVING count(*) > 1
       AND NOT EXISTS (
         SELECT FROM vfs_blob_ref_choices AS choice
         WHERE choice.blob_id = ref.blob_id AND choice.item_id = ref.item_id
           AND choice.relation_kind = ANY (array_agg(ref.relation_kind)))
    ORDER BY blob_id, item_id
    LIMIT 100
  ) AS several;
  IF listing IS NOT NULL THEN
    RAISE EXCEPTION 'v024 abort: blobs are attached to one item as several kinds, and nobody chose: %', listing
      USING HINT = 'Choose: vfs-server choose-kind --blob ID --item ID --kind KIND --actor NAME --reason WHY.';
  END IF;

  -- What stays of the attachments, as links.
  CREATE TEMPORARY TABLE vfs_flattening_refs ON COMMIT DROP AS
  SELECT ref.id, ref.blob_id, ref.item_id, ref.relation_kind, ref.attached_by, ref.attached_at
  FROM vfs_blob_refs AS ref
  LEFT JOIN vfs_blob_ref_choices AS choice USING (blob_id, item_id)
  WHERE (SELECT count(*) FROM vfs_blob_refs AS other
         WHERE other.blob_id = ref.blob_id AND other.item_id = ref.item_id) = 1
     OR ref.relation_kind = choice.relation_kind;

  -- Links that stand where those of stages and attachments belong.
  SELECT string_agg(text, '; ' ORDER BY text) INTO listing
  FROM (
    SELECT format('link %s joins blob %s to stage %s', link.id, link.child_id, link.parent_id) AS text
    FROM vfs_blob_staging AS stage
    JOIN vfs_links AS link ON link.parent_id = stage.id AND link.child_id = stage.blob_id AND link.id <> stage.id
    UNION ALL
    SELECT format('link %s has the id of a stage', link.id)
    FROM vfs_blob_staging AS stage
    JOIN vfs_links AS link ON link.id = stage.id AND (link.parent_id, link.child_id) <> (stage.id, stage.blob_id)
    UNION ALL
    SELECT format('link %s has the id of an attachment', link.id)
    FROM vfs_flattening_refs AS ref
    JOIN vfs_links AS link ON link.id = ref.id AND (link.parent_id, link.child_id) <> (ref.item_id, ref.blob_id)
    UNION ALL
    SELECT format('attachment %s has the id of a stage', ref.id)
    FROM vfs_flattening_refs AS ref JOIN vfs_blob_staging AS stage ON stage.id = ref.id
    UNION ALL
    SELECT format('link %s joins blob %s to item %s as %s, the attachment %s as %s',
                  link.id, link.child_id, link.parent_id, link.wrapped_session_key, ref.id, ref.relation_kind)
    FROM vfs_flattening_refs AS ref
    JOIN vfs_links AS link ON link.parent_id = ref.item_id AND link.child_id = ref.blob_id
    WHERE link.wrapped_session_key <> 'blob-link:' || ref.relation_kind
    LIMIT 100
  ) AS clashes;
  IF listing IS NOT NULL THEN
    RAISE EXCEPTION 'v024 abort: links stand in the way: %', listing;
  END IF;

  INSERT INTO vfs_registry (id, object_type, owner_id, created_at)
  SELECT id, 'blobStage', staged_by, staged_at FROM vfs_blob_staging
  ON CONFLICT (id) DO NOTHING;
  PERFORM set_config('vfs.flattening', '', true);

  INSERT INTO vfs_links (id, parent_id, child_id, wrapped_session_key, visible_children, created_at)
  SELECT id, id, blob_id,
         CASE status
           WHEN 'staged' THEN 'blob-stage:staged'
           WHEN 'attached' THEN 'blob-stage:attached'
           ELSE 'blob-stage:abandoned'
         END,
         jsonb_build_object(
           'status', CASE WHEN status IN ('staged', 'attached') THEN status ELSE 'abandoned' END,
           'expiresAt', to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           'attachedAt', to_char(attached_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           'attachedItemId', attached_item_id),
         staged_at
  FROM vfs_blob_staging
  ON CONFLICT (id) DO NOTHING;

  INSERT INTO vfs_links (id, parent_id, child_id, wrapped_session_key, visible_children, created_at)
  SELECT id, item_id, blob_id, 'blob-link:' || relation_kind,
         jsonb_build_object('relationKind', relation_kind, 'attachedBy', attached_by), attached_at
  FROM vfs_flattening_refs
  ON CONFLICT (parent_id, child_id) DO NOTHING;
  DROP TABLE vfs_flattening_refs;

  -- From here on nobody may write there, nor fall behind.
  INSERT INTO vfs_legacy_writes (table_name, since, writes)
  VALUES ('vfs_blob_objects', now(), 0), ('vfs_blob_staging', now(), 0), ('vfs_blob_refs', now(), 0),
         ('vfs_access', now(), 0)
  ON CONFLICT (table_name) DO UPDATE SET since = excluded.since, writes = 0, newest_at = NULL;
  DELETE FROM vfs_client_state_marks;
  INSERT INTO vfs_client_state_marks
    (user_id, client_id, last_reconciled_at, last_reconciled_change_id, last_reconciled_write_ids)
  SELECT user_id, client_id, last_reconciled_at, last_reconciled_change_id, last_reconciled_write_ids
  FROM vfs_sync_client_state;
  INSERT INTO schema_migrations (version, applied_at) VALUES (24, now()) ON CONFLICT (version) DO NOTHING;
END
$v024$;

CREATE OR REPLACE TRIGGER vfs_legacy_note_write BEFORE INSERT OR UPDATE OR DELETE ON vfs_blob_objects
  FOR EACH ROW EXECUTE FUNCTION vfs_legacy_note_write();
CREATE OR REPLACE TRIGGER vfs_legacy_note_write BEFORE INSERT OR UPDATE OR DELETE ON vfs_blob_staging
  FOR EACH ROW EXECUTE FUNCTION vfs_legacy_note_write();
CREATE OR REPLACE TRIGGER vfs_legacy_note_write BEFORE INSERT OR UPDATE OR DELETE ON vfs_blob_refs
  FOR EACH ROW EXECUTE FUNCTION vfs_legacy_note_write();
CREATE OR REPLACE TRIGGER vfs_legacy_note_write BEFORE INSERT OR UPDATE OR DELETE ON vfs_access
  FOR EACH ROW EXECUTE FUNCTION vfs_legacy_note_write();
CREATE OR REPLACE TRIGGER vfs_legacy_note_truncate BEFORE TRUNCATE ON vfs_blob_objects
  FOR EACH STATEMENT EXECUTE FUNCTION vfs_legacy_note_write();
CREATE OR REPLACE TRIGGER vfs_legacy_note_truncate BEFORE TRUNCATE ON vfs_blob_staging
  FOR EACH STATEMENT EXECUTE FUNCTION vfs_legacy_note_write();
CREATE OR REPLACE TRIGGER vfs_legacy_note_truncate BEFORE TRUNCATE ON vfs_blob_refs
  FOR EACH STATEMENT EXECUTE FUNCTION vfs_legacy_note_write();
CREATE OR REPLACE TRIGGER vfs_legacy_note_truncate BEFORE TRUNCATE ON vfs_access
  FOR EACH STATEMENT EXECUTE FUNCTION vfs_legacy_note_write();
