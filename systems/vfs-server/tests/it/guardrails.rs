//! Each file stops at what would be lost, in words, and leaves every table as it was.

use crate::legacy_ground::LegacyGround;

/// What is done to a database of the version before, and what the file says then.
struct Case {
    version: u32,
    tampering: &'static str,
    says: &'static str,
}

const fn case(version: u32, tampering: &'static str, says: &'static str) -> Case {
    Case { version, tampering, says }
}

/// The words of the files are told to people and programs: they do not change.
const CASES: &[Case] = &[
    case(24, "DELETE FROM schema_migrations", "v024 abort: migration 23 is not applied"),
    case(
        24,
        "UPDATE vfs_registry SET object_type = 'file' WHERE id = (SELECT id FROM vfs_blob_objects JOIN vfs_registry USING (id) LIMIT 1)",
        "v024 backfill conflict: blob object id collides with non-blob vfs_registry row",
    ),
    case(
        24,
        "SELECT set_config('vfs.flattening', 'on', true); \
         INSERT INTO vfs_registry (id, object_type, created_at) SELECT id, 'note', now() FROM vfs_blob_staging LIMIT 1",
        "v024 backfill conflict: staging id collides with non-blobStage vfs_registry row",
    ),
    case(
        24,
        "INSERT INTO vfs_blob_staging SELECT blob_id, blob_id, staged_by, status, staged_at, attached_at, expires_at FROM vfs_blob_staging LIMIT 1",
        "v024 backfill conflict: staging id collides with non-blobStage vfs_registry row",
    ),
    case(
        24,
        "INSERT INTO vfs_blob_refs SELECT 'second', blob_id, item_id, CASE relation_kind WHEN 'file' THEN 'photo' ELSE 'file' END, attached_by, attached_at \
         FROM vfs_blob_refs WHERE id LIKE 'ref/../%' LIMIT 1",
        "v024 abort: blobs are attached to one item as several kinds, and nobody chose: blob blob/../",
    ),
    case(
        24,
        "SELECT set_config('vfs.flattening', 'on', true); \
         INSERT INTO vfs_registry (id, object_type, created_at) SELECT id, 'blobStage', now() FROM vfs_blob_staging LIMIT 1; \
         INSERT INTO vfs_registry (id, object_type, created_at) SELECT blob_id, 'blob', now() FROM vfs_blob_staging ON CONFLICT DO NOTHING; \
         INSERT INTO vfs_links (id, parent_id, child_id, wrapped_session_key, created_at) \
         SELECT 'in-the-way', s.id, s.blob_id, 'k', now() FROM vfs_blob_staging s JOIN vfs_registry USING (id)",
        "v024 abort: links stand in the way: link in-the-way joins blob ",
    ),
    case(
        24,
        "UPDATE vfs_links SET id = (SELECT min(id) FROM vfs_blob_staging) WHERE id = 'link:1'",
        " has the id of a stage",
    ),
    case(
        24,
        "UPDATE vfs_links SET id = (SELECT min(id) FROM vfs_blob_refs) WHERE id = 'link:1'",
        " has the id of an attachment",
    ),
    case(
        24,
        "UPDATE vfs_blob_refs SET id = (SELECT min(id) FROM vfs_blob_staging) WHERE id = (SELECT max(id) FROM vfs_blob_refs)",
        "v024 abort: links stand in the way: attachment ",
    ),
    case(
        24,
        "UPDATE vfs_links SET wrapped_session_key = 'blob-link:photo' WHERE id = 'linked-before-0'",
        "v024 abort: links stand in the way: link linked-before-0 joins blob ",
    ),
    case(25, "DELETE FROM schema_migrations WHERE version = 24", "v025 abort: migration 24 is not applied"),
    case(
        25,
        "DELETE FROM vfs_links WHERE id = (SELECT max(id) FROM vfs_blob_staging)",
        "v025 abort: legacy staged rows missing flattened blobStage representation",
    ),
    case(
        25,
        "DELETE FROM vfs_registry WHERE id = (SELECT max(id) FROM vfs_blob_staging)",
        "v025 abort: legacy staged rows missing flattened blobStage representation",
    ),
    case(
        25,
        "UPDATE vfs_registry SET object_type = 'file' WHERE id = (SELECT min(id) FROM vfs_blob_staging)",
        "v025 abort: legacy staged rows missing flattened blobStage representation",
    ),
    case(
        25,
        "INSERT INTO vfs_registry (id, object_type, created_at) VALUES ('elsewhere', 'folder', now()); \
         UPDATE vfs_links SET parent_id = 'elsewhere' WHERE id = (SELECT min(id) FROM vfs_blob_staging)",
        "v025 abort: flattened stages differ from their legacy rows: ",
    ),
    case(
        25,
        "UPDATE vfs_links SET wrapped_session_key = 'blob-stage:staged', visible_children = visible_children || '{\"status\":\"staged\"}' \
         WHERE id = (SELECT id FROM vfs_blob_staging WHERE status = 'abandoned' LIMIT 1)",
        "v025 abort: flattened stages differ from their legacy rows: ",
    ),
    case(
        25,
        "UPDATE vfs_links SET visible_children = visible_children || '{\"expiresAt\":\"2020-01-01T00:00:00Z\"}' \
         WHERE id = (SELECT min(id) FROM vfs_blob_staging)",
        "v025 abort: flattened stages differ from their legacy rows: ",
    ),
    case(
        25,
        "UPDATE vfs_registry SET owner_id = 'somebody' WHERE id = (SELECT min(id) FROM vfs_blob_staging)",
        "v025 abort: flattened stages differ from their legacy rows: ",
    ),
    case(
        25,
        "DELETE FROM vfs_links WHERE id = (SELECT min(id) FROM vfs_blob_refs)",
        "v025 abort: legacy attachments missing flattened blob links: ",
    ),
    case(
        25,
        "UPDATE vfs_links SET visible_children = '{\"relationKind\":\"file\",\"attachedBy\":\"x\"}', wrapped_session_key = 'blob-link:file' \
         WHERE id = (SELECT id FROM vfs_blob_refs WHERE relation_kind = 'file' AND id IN (SELECT id FROM vfs_links) LIMIT 1)",
        "v025 abort: legacy attachments missing flattened blob links: ",
    ),
    case(
        25,
        "INSERT INTO vfs_registry (id, object_type, created_at) VALUES ('lone', 'blobStage', now())",
        "v025 abort: blobStage items without their link",
    ),
    case(
        25,
        "INSERT INTO vfs_registry (id, object_type, created_at) VALUES ('no-stage', 'file', now()); \
         INSERT INTO vfs_links (id, parent_id, child_id, wrapped_session_key, created_at) \
         SELECT 'no-stage', 'no-stage', min(id), 'blob-stage:staged', now() FROM vfs_blob_objects",
        "v025 abort: links of stages without their blobStage item or their blob",
    ),
    case(
        25,
        "UPDATE vfs_registry SET object_type = 'file' WHERE id = (SELECT blob_id FROM vfs_blob_staging LIMIT 1)",
        "v025 abort: links of stages without their blobStage item or their blob",
    ),
    case(
        25,
        "UPDATE vfs_blob_staging SET status = status WHERE id = (SELECT min(id) FROM vfs_blob_staging)",
        "v025 abort: legacy tables were written since v024",
    ),
    case(
        25,
        "DELETE FROM vfs_blob_refs WHERE id = 'more-0'",
        "v025 abort: legacy tables were written since v024",
    ),
    case(
        25,
        "INSERT INTO vfs_instances VALUES ('old:1', '0.0.9', 24, 1, 1, clock_timestamp())",
        "v025 abort: instances that may use the legacy tables are running: old:1 (0.0.9)",
    ),
    case(26, "DELETE FROM schema_migrations WHERE version = 25", "v026 abort: migration 25 is not applied"),
    case(
        26,
        "DELETE FROM vfs_registry WHERE id = (SELECT min(id) FROM vfs_blob_objects)",
        "v026 abort: legacy blob objects missing canonical blob representation",
    ),
    case(
        26,
        "UPDATE vfs_registry SET object_type = 'file' WHERE id = (SELECT max(id) FROM vfs_blob_objects)",
        "v026 abort: legacy blob objects missing canonical blob representation",
    ),
    case(
        26,
        "ALTER TABLE vfs_blob_objects DISABLE TRIGGER USER; UPDATE vfs_blob_objects SET storage_key = 'elsewhere' WHERE id = (SELECT min(id) FROM vfs_blob_objects)",
        "v026 abort: legacy storage keys differ from those derived from the ids: ",
    ),
    case(
        26,
        "UPDATE vfs_blob_objects SET sha256 = sha256 WHERE id = (SELECT min(id) FROM vfs_blob_objects)",
        "v026 abort: legacy tables were written since v024",
    ),
    case(
        26,
        "INSERT INTO vfs_instances VALUES ('old:1', '0.0.9', 26, 1, 1, clock_timestamp())",
        "v026 abort: instances that may use the legacy tables are running: old:1 (0.0.9)",
    ),
    case(27, "DELETE FROM schema_migrations WHERE version = 26", "v027 abort: migration 26 is not applied"),
    case(
        27,
        "ALTER TABLE vfs_acl_entries RENAME TO renamed",
        "v027 abort: vfs_acl_entries missing while vfs_access still exists",
    ),
    case(
        27,
        "UPDATE vfs_acl_entries SET revoked_at = now() WHERE id = (SELECT 'share:' || md5(item_id || user_id) FROM vfs_access LIMIT 1)",
        "v027 abort: legacy vfs_access rows missing canonical active user ACL parity",
    ),
    case(
        27,
        "UPDATE vfs_acl_entries SET granted_by = NULL WHERE id = (SELECT 'share:' || md5(item_id || user_id) FROM vfs_access WHERE granted_by IS NOT NULL LIMIT 1)",
        "v027 abort: legacy vfs_access rows missing canonical active user ACL parity",
    ),
    case(
        27,
        "UPDATE vfs_acl_entries SET expires_at = NULL WHERE id = (SELECT 'share:' || md5(item_id || user_id) FROM vfs_access WHERE expires_at < now() LIMIT 1)",
        "v027 abort: legacy vfs_access rows missing canonical active user ACL parity",
    ),
    case(
        27,
        "UPDATE vfs_access SET permission_level = permission_level WHERE item_id = (SELECT min(item_id) FROM vfs_access)",
        "v027 abort: legacy tables were written since v024",
    ),
    case(27, "TRUNCATE vfs_access", "v027 abort: legacy tables were written since v024"),
    case(
        27,
        "INSERT INTO vfs_instances VALUES ('old:1', '0.0.9', 23, 1, 1, clock_timestamp())",
        "v027 abort: instances that may use the legacy tables are running: old:1 (0.0.9)",
    ),
];

async fn stops(version: u32) {
    let template = LegacyGround::seeded_at(version - 1).await;
    let mut tried = 0;
    for case in CASES.iter().filter(|case| case.version == version) {
        let copy = template.cluster.try_database("vfs", template.database.name()).await.unwrap();
        let ground = LegacyGround { cluster: template.cluster, database: copy };
        ground.database.execute(case.tampering).await;
        let tampered = ground.contents().await;
        let outcome = ground.psql(version).await;
        assert_eq!(outcome.code(), Some(3), "{}: {}{}", case.tampering, outcome.stdout, outcome.stderr);
        assert!(outcome.stderr.contains(case.says), "{}: {}", case.tampering, outcome.stderr);
        assert_eq!(ground.contents().await, tampered, "{}", case.tampering);
        tried += 1;
    }
    assert!(tried >= 5, "{tried}");
    let outcome = template.psql(version).await;
    assert_eq!(outcome.code(), Some(0), "untouched, it must pass: {}", outcome.stderr);
}

#[tokio::test]
async fn backfilling_stops_at_every_conflict_and_leaves_all_as_it_was() {
    stops(24).await;
}

#[tokio::test]
async fn retiring_stages_and_attachments_stops_at_every_difference() {
    stops(25).await;
}

#[tokio::test]
async fn retiring_blob_objects_stops_at_every_difference() {
    stops(26).await;
}

#[tokio::test]
async fn retiring_access_stops_at_every_difference() {
    stops(27).await;
}
