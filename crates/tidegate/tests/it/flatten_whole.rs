//! The file sync's page, whole, beside a server that serves.

use crate::flatten_stage::FlattenStage;
use crate::ledger_stage::{on_stage, told};

const RETIRED: &str = "SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'tidegate_retired'";

#[test]
fn a_serving_system_is_flattened_to_the_end_and_the_retired_tables_go_later_by_hand() {
    on_stage(async {
        let mut stage = FlattenStage::new().await;
        let served = stage.serve().await;
        // Operations were compacted away before, and a server that is gone had missed a table.
        stage
            .database
            .execute("UPDATE vfs_crdt_horizon SET seq = (SELECT max(seq) - 1 FROM vfs_crdt_ops)")
            .await;
        stage
            .database
            .execute(
                "INSERT INTO vfs_instances VALUES ('gone', '0.1.0', 27, 1, 1, now() - interval '1 hour', 5)",
            )
            .await;
        let legacy = [
            stage.text("SELECT count(*) FROM vfs_blob_staging").await,
            stage.text("SELECT count(DISTINCT (blob_id, item_id)) FROM vfs_blob_refs").await,
        ];
        let planned = stage.call(&stage.with_parameters(&["plan"])).await;
        assert_eq!(planned.code(), Some(0), "{}", told(&planned));
        stage.begin().await;
        let done = stage.run().await;
        assert_eq!(done.code(), Some(0), "{}", told(&done));

        assert_eq!(stage.version().await, "27");
        assert_eq!(stage.text(RETIRED).await, "vfs_access vfs_blob_objects vfs_blob_refs vfs_blob_staging");
        for (query, expected) in [
            ("SELECT count(*) FROM vfs_registry WHERE object_type = 'blobStage'", &legacy[0]),
            ("SELECT count(*) FROM vfs_links WHERE wrapped_session_key LIKE 'blob-link:%'", &legacy[1]),
        ] {
            assert_eq!(&stage.text(query).await, expected, "{query}");
        }
        let probes =
            "SELECT count(*) FROM vfs_registry WHERE owner_id = 'tidegate-probe' OR id LIKE 'probe-%'";
        assert_eq!(stage.text(probes).await, "0");
        assert_eq!(
            stage.text("SELECT count(*) FROM vfs_sync_client_state WHERE user_id = 'tidegate-probe'").await,
            "0"
        );
        let asked = "SELECT count(*) FROM vfs_crdt_ops WHERE item_id LIKE 'probe-%' AND op_type = 'link_add'";
        assert_ne!(stage.text(asked).await, "0", "the probes were never made");
        assert_eq!(served.objects.keys().unwrap(), Vec::<String>::new());

        let drop_them = ["run", "--stage", "drop_retired", "--apply", "--yes", "--actor", "alice"];
        let waiting = stage.call(&stage.with_parameters(&drop_them)).await;
        assert_eq!(waiting.code(), Some(6), "{}", told(&waiting));
        stage.approve("may_be_dropped").await;
        let dropped = stage.call(&stage.with_parameters(&drop_them)).await;
        assert_eq!(dropped.code(), Some(0), "{}", told(&dropped));
        assert_eq!(stage.text(RETIRED).await, "NULL");
    });
}

#[test]
fn a_watch_halts_the_run_when_a_client_falls_back_or_a_server_misses_a_table() {
    on_stage(async {
        let stage = FlattenStage::new().await;
        stage.begin().await;
        stage.run_until("outcome:retire_v025").await;
        for (tampering, mending, watch) in [
            (
                "UPDATE vfs_sync_client_state SET last_reconciled_at = last_reconciled_at - interval '1 ms'",
                "UPDATE vfs_sync_client_state SET last_reconciled_at = last_reconciled_at + interval '1 ms'",
                "no_client_falls_back",
            ),
            (
                "UPDATE vfs_instances SET missing_table_errors = 1",
                "UPDATE vfs_instances SET missing_table_errors = 0",
                "no_server_misses_a_table",
            ),
        ] {
            stage.database.execute(tampering).await;
            let halted = stage.run().await;
            assert_ne!(halted.code(), Some(0), "{}", told(&halted));
            assert!(halted.stdout.contains(watch), "{watch}: {}", told(&halted));
            assert_eq!(stage.version().await, "25");
            stage.database.execute(mending).await;
        }
        stage.run_until_halted_at("service_knows_the_schema").await;
        assert_eq!(stage.version().await, "27");
    });
}
