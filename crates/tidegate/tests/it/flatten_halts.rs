//! The page stops with the words of the migration files, and every table stays as it was.

use crate::flatten_stage::FlattenStage;
use crate::ledger_stage::on_stage;

/// What is done, at which step the run halts then, what it says, and how it is mended.
struct Case {
    tampering: &'static str,
    step: &'static str,
    says: &'static str,
    mending: &'static str,
}

async fn halts(stage: &FlattenStage, cases: &[Case]) {
    for case in cases {
        stage.database.execute(case.tampering).await;
        let before = stage.contents().await;
        let told = stage.run_until_halted_at(case.step).await;
        assert!(told.contains(case.says), "{}: {told}", case.says);
        assert_eq!(stage.contents().await, before, "{}", case.tampering);
        stage.database.execute(case.mending).await;
    }
}

#[test]
fn preflight_stops_at_what_could_not_be_carried_over_and_touches_nothing() {
    on_stage(async {
        let stage = FlattenStage::new().await;
        let cases = [
            Case {
                tampering: "UPDATE vfs_instances SET highest_migration_known = 26",
                step: "instances_know_all",
                says: "instances that may use the legacy tables are running",
                mending: "UPDATE vfs_instances SET highest_migration_known = 27, seen_at = now() - interval '1 hour'",
            },
            Case {
                tampering: "SELECT 1",
                step: "instances_know_all",
                says: "or none is running at all",
                mending: "UPDATE vfs_instances SET seen_at = now() + interval '1 day'",
            },
            Case {
                tampering: "INSERT INTO vfs_registry (id, object_type, created_at) SELECT 'mine', 'note', now(); \
                            INSERT INTO vfs_blob_objects SELECT 'mine', sha256, 1, 'mine', created_by, now() FROM vfs_blob_objects LIMIT 1",
                step: "no_blob_collides",
                says: "v024 backfill conflict: blob object id collides with non-blob vfs_registry row",
                mending: "DELETE FROM vfs_blob_objects WHERE id = 'mine'; DELETE FROM vfs_registry WHERE id = 'mine'",
            },
            Case {
                tampering: "SELECT set_config('vfs.flattening', 'on', true); \
                            INSERT INTO vfs_registry (id, object_type, created_at) SELECT min(id), 'note', now() FROM vfs_blob_staging",
                step: "no_stage_collides",
                says: "v024 backfill conflict: staging id collides with non-blobStage vfs_registry row",
                mending: "DELETE FROM vfs_registry WHERE id = (SELECT min(id) FROM vfs_blob_staging)",
            },
            Case {
                tampering: "UPDATE vfs_registry SET owner_id = 'mal' WHERE id = (SELECT min(id) FROM vfs_registry JOIN vfs_blob_objects USING (id))",
                step: "owners_are_theirs",
                says: "v024 abort: blobs or stages are others' than their legacy rows say",
                mending: "UPDATE vfs_registry i SET owner_id = created_by FROM vfs_blob_objects o WHERE o.id = i.id AND owner_id = 'mal'",
            },
            Case {
                tampering: "INSERT INTO vfs_blob_refs SELECT 'second', blob_id, item_id, CASE relation_kind WHEN 'file' THEN 'photo' ELSE 'file' END, attached_by, attached_at \
                            FROM vfs_blob_refs WHERE id = (SELECT min(id) FROM vfs_blob_refs)",
                step: "kinds_chosen",
                says: "v024 abort: blobs are attached to one item as several kinds, and nobody chose",
                mending: "INSERT INTO vfs_blob_ref_choices SELECT blob_id, item_id, relation_kind, 'ada', 'it is so', now() FROM vfs_blob_refs WHERE id = 'second'",
            },
            Case {
                tampering: "UPDATE vfs_blob_objects SET storage_key = 'elsewhere' WHERE id = (SELECT min(id) FROM vfs_blob_objects)",
                step: "storage_keys_derived",
                says: "v026 abort: legacy storage keys differ from those derived from the ids",
                mending: "UPDATE vfs_blob_objects SET storage_key = id",
            },
            Case {
                tampering: "UPDATE vfs_acl_entries SET revoked_at = now() WHERE id = (SELECT min('share:' || md5(item_id || user_id)) FROM vfs_access)",
                step: "access_has_its_entries",
                says: "v027 abort: legacy vfs_access rows missing canonical active user ACL parity",
                mending: "UPDATE vfs_acl_entries SET revoked_at = NULL WHERE id = (SELECT min('share:' || md5(item_id || user_id)) FROM vfs_access)",
            },
        ];
        halts(&stage, &cases).await;
        assert_eq!(stage.version().await, "23");
        // With a choice among the kinds it goes through, and the choice is kept with the run.
        stage.begin().await;
        stage.run_until_halted_at("service_knows_the_schema").await;
        assert_eq!(stage.version().await, "27");
        let journaled = "SELECT count(*) > 0 FROM tidegate.evidence WHERE body LIKE '%it is so%'";
        assert_eq!(stage.text(journaled).await, "true");
    });
}

#[test]
fn one_link_in_the_way_stops_the_backfill_in_the_words_of_its_file() {
    on_stage(async {
        let stage = FlattenStage::new().await;
        stage.begin().await;
        let case = Case {
            tampering: "UPDATE vfs_links SET wrapped_session_key = 'blob-link:photo' WHERE id = 'linked-before-0'",
            step: "apply_v024",
            says: "v024 abort: links stand in the way: link linked-before-0 joins blob ",
            mending: "UPDATE vfs_links SET wrapped_session_key = 'blob-link:other' WHERE id = 'linked-before-0'",
        };
        halts(&stage, &[case]).await;
        assert_eq!(stage.version().await, "23");
    });
}

#[test]
fn one_tampered_row_keeps_each_table_where_it_is() {
    on_stage(async {
        let stage = FlattenStage::new().await;
        stage.begin().await;
        stage.run_until("outcome:apply_v024").await;
        assert_eq!(stage.version().await, "24");
        let cases = [
            Case {
                tampering: "UPDATE vfs_registry SET object_type = 'file' WHERE id = (SELECT min(id) FROM vfs_blob_staging)",
                step: "stage_links_have_blobs",
                says: "v025 abort: links of stages without their blobStage item or their blob",
                mending: "UPDATE vfs_registry SET object_type = 'blobStage' WHERE id = (SELECT min(id) FROM vfs_blob_staging)",
            },
            Case {
                tampering: "INSERT INTO vfs_instances VALUES ('old', '0.0.9', 24, 1, 1, now() + interval '1 day')",
                step: "instances_for_v025",
                says: "v025 abort: instances that may use the legacy tables are running",
                mending: "DELETE FROM vfs_instances WHERE instance = 'old'",
            },
        ];
        halts(&stage, &cases).await;
        // Everything held once by now. It is asked again where it counts, in the transaction that retires the tables.
        let cases = [
            Case {
                tampering: "CREATE TABLE kept AS SELECT * FROM vfs_links WHERE id = (SELECT min(id) FROM vfs_blob_staging); \
                            DELETE FROM vfs_links WHERE id IN (SELECT id FROM kept); \
                            UPDATE vfs_registry SET object_type = 'waiting' WHERE id IN (SELECT id FROM kept)",
                step: "retire_v025",
                says: "v025 abort: legacy staged rows missing flattened blobStage representation",
                mending: "UPDATE vfs_registry SET object_type = 'blobStage' WHERE id IN (SELECT id FROM kept); \
                          INSERT INTO vfs_links SELECT * FROM kept; DROP TABLE kept",
            },
            Case {
                tampering: "CREATE TABLE kept AS SELECT * FROM vfs_links WHERE id IN (SELECT id FROM vfs_blob_staging WHERE status = 'abandoned'); \
                            UPDATE vfs_links SET wrapped_session_key = 'blob-stage:staged' WHERE id IN (SELECT id FROM kept)",
                step: "retire_v025",
                says: "v025 abort: flattened stages differ from their legacy rows",
                mending: "UPDATE vfs_links SET wrapped_session_key = 'blob-stage:abandoned' WHERE id IN (SELECT id FROM kept); DROP TABLE kept",
            },
            Case {
                tampering: "CREATE TABLE kept AS SELECT * FROM vfs_links WHERE id = (SELECT min(id) FROM vfs_blob_refs); \
                            DELETE FROM vfs_links WHERE id IN (SELECT id FROM kept)",
                step: "retire_v025",
                says: "v025 abort: legacy attachments missing flattened blob links",
                mending: "INSERT INTO vfs_links SELECT * FROM kept; DROP TABLE kept",
            },
            Case {
                tampering: "UPDATE vfs_legacy_writes SET writes = 1 WHERE table_name = 'vfs_blob_refs'",
                step: "retire_v025",
                says: "v025 abort: legacy tables were written since v024",
                mending: "UPDATE vfs_legacy_writes SET writes = 0",
            },
        ];
        halts(&stage, &cases).await;
        stage.run_until("outcome:retire_v025").await;
        assert_eq!(stage.version().await, "25");
        let cases = [
            Case {
                tampering: "UPDATE vfs_registry SET object_type = 'file' WHERE id = (SELECT min(id) FROM vfs_blob_objects)",
                step: "objects_are_flattened",
                says: "v026 abort: legacy blob objects missing canonical blob representation",
                mending: "UPDATE vfs_registry SET object_type = 'blob' WHERE id = (SELECT min(id) FROM vfs_blob_objects)",
            },
            Case {
                tampering: "UPDATE vfs_registry SET owner_id = 'mal' WHERE id = (SELECT min(id) FROM vfs_blob_objects)",
                step: "owners_equal",
                says: "v026 abort: blobs are others' than their legacy rows say",
                mending: "UPDATE vfs_registry i SET owner_id = created_by FROM vfs_blob_objects o WHERE o.id = i.id AND owner_id = 'mal'",
            },
            Case {
                tampering: "UPDATE vfs_legacy_writes SET writes = 1 WHERE table_name = 'vfs_blob_objects'",
                step: "nobody_wrote_objects",
                says: "v026 abort: legacy tables were written since v024",
                mending: "UPDATE vfs_legacy_writes SET writes = 0",
            },
        ];
        halts(&stage, &cases).await;
        stage.run_until("outcome:retire_v026").await;
        assert_eq!(stage.version().await, "26");
        let cases = [
            Case {
                tampering: "CREATE TABLE kept AS SELECT * FROM vfs_acl_entries WHERE granted_by IS NOT NULL AND id LIKE 'share:%' AND principal_type = 'user' LIMIT 1; \
                            UPDATE vfs_acl_entries SET granted_by = NULL WHERE id IN (SELECT id FROM kept)",
                step: "access_equal",
                says: "v027 abort: legacy vfs_access rows missing canonical active user ACL parity",
                mending: "UPDATE vfs_acl_entries e SET granted_by = k.granted_by FROM kept k WHERE k.id = e.id; DROP TABLE kept",
            },
            Case {
                tampering: "UPDATE vfs_legacy_writes SET writes = 1 WHERE table_name = 'vfs_access'",
                step: "nobody_wrote_access",
                says: "v027 abort: legacy tables were written since v024",
                mending: "UPDATE vfs_legacy_writes SET writes = 0",
            },
        ];
        halts(&stage, &cases).await;
        stage.run_until_halted_at("service_knows_the_schema").await;
        assert_eq!(stage.version().await, "27");
    });
}

#[test]
fn a_sealed_legacy_table_refuses_whoever_still_writes_there() {
    on_stage(async {
        let stage = FlattenStage::new().await;
        stage.begin().await;
        stage.run_until("outcome:staging_quiet").await;
        let client = stage.database.client().await;
        let refused =
            client.batch_execute("UPDATE vfs_blob_staging SET status = 'abandoned'").await.unwrap_err();
        let refused = refused.as_db_error().map(|error| error.message().to_owned());
        assert!(refused.as_deref().is_some_and(|text| text.contains("seal")), "{refused:?}");
        // What hangs on an item goes with it, sealed or not.
        client.batch_execute("DELETE FROM vfs_registry WHERE id = (SELECT item_id FROM vfs_blob_refs WHERE item_id <> 'root' LIMIT 1)").await.unwrap();
        stage.run_until_halted_at("service_knows_the_schema").await;
        assert_eq!(stage.version().await, "27");
    });
}
