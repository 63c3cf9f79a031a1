//! The file sync's page, whole, beside a server that serves.

use std::path::PathBuf;

use testkit::Program;

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

#[test]
fn a_server_that_was_set_back_by_hand_stops_a_client_and_that_halts_the_run() {
    on_stage(async {
        let mut stage = FlattenStage::new().await;
        let _served = stage.serve().await;
        let directory = std::env::temp_dir().join(format!("vfs-of-{}", stage.database.name()));
        let token = directory.with_extension("token");
        std::fs::write(&token, stage.token_of("reader").await).unwrap();
        let vfs = async |arguments: &[&str]| {
            let program = PathBuf::from(env!("CARGO_BIN_EXE_tidegate")).with_file_name("vfs");
            assert!(program.exists(), "{}: `cargo build --workspace` builds it", program.display());
            let program = Program::new(program).arg("--dir").arg(&directory).args(arguments);
            program.run(std::time::Duration::from_secs(60)).await.unwrap()
        };
        let (token_file, service) = (token.to_str().unwrap().to_owned(), stage.service().to_owned());
        let init = [
            "init",
            "--user",
            "reader",
            "--client",
            "desk",
            "--server",
            &service,
            "--token-file",
            &token_file,
        ];
        for arguments in [&init[..], &["mkdir", "/a"], &["mkdir", "/b"], &["sync"]] {
            let done = vfs(arguments).await;
            assert_eq!(done.code(), Some(0), "{}", told(&done));
        }
        stage.begin().await;
        stage.run_until("outcome:retire_v025").await;
        stage
            .database
            .execute("UPDATE vfs_crdt_replica_heads SET max_write_id = 1 WHERE replica_id = 'desk'")
            .await;
        let stopped = vfs(&["sync"]).await;
        assert_eq!(stopped.code(), Some(3), "{}", told(&stopped));
        assert!(stopped.stderr.contains("pull:lastWriteIdRegression"), "{}", told(&stopped));
        let halted = stage.run().await;
        assert_ne!(halted.code(), Some(0), "{}", told(&halted));
        for said in ["no_client_breaks_a_guardrail", "a client stopped at a guardrail"] {
            assert!(halted.stdout.contains(said), "{said}: {}", told(&halted));
        }
        assert_eq!(stage.version().await, "25");
        std::fs::remove_dir_all(&directory).unwrap();
        std::fs::remove_file(&token).unwrap();
    });
}
