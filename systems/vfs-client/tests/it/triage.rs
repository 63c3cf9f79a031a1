//! The triage page, run by the program against clients and servers that are not well.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;
use testkit::{Outcome, Program, S3Endpoint};

use crate::end_to_end::beside;
use crate::ground::{BOUND, Ground, Vfs};

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("runbooks/sync-triage.md")
}

/// Somebody who runs the page for one client.
struct Triage<'a> {
    ground: &'a Ground,
    vfs: &'a Vfs,
    client: &'a str,
}

impl Triage<'_> {
    fn program(&self, arguments: &[&str]) -> Program {
        let programs = beside("tidegate").parent().unwrap().to_owned();
        let path = std::env::var("PATH").unwrap();
        let mut program = Program::new(programs.join("tidegate"))
            .args(arguments)
            .arg(page())
            .args(["--actor", "olga"])
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("DATABASE_URL", self.ground.database.url());
        if arguments.first() == Some(&"run") {
            program = program.args(["--apply", "--yes", "--again"]);
        }
        program
    }

    /// What a service unit of the servers reads.
    fn server_environment(&self) -> PathBuf {
        let s3 = &self.ground.s3;
        let text = format!(
            "DATABASE_URL='{}'\nVFS_BLOB_S3_ENDPOINT={}\nVFS_BLOB_S3_BUCKET={}\nVFS_BLOB_S3_ACCESS_KEY_ID={}\n\
             VFS_BLOB_S3_SECRET_ACCESS_KEY={}\n",
            self.ground.database.url(),
            s3.url(),
            s3.bucket(),
            S3Endpoint::ACCESS_KEY,
            s3.secret_key()
        );
        self.ground.file("server.env", text.as_bytes())
    }

    async fn run(&self, more: &[(&str, &str)], arguments: &[&str]) -> Outcome {
        let mut program = self.program(&["run"]).args(arguments);
        let evidence = self.ground.scratch.0.to_str().unwrap();
        let environment = self.server_environment();
        let usual = [
            ("server_environment", environment.to_str().unwrap()),
            ("user_id", "ada"),
            ("client_id", self.client),
            ("client_dir", self.vfs.directory.to_str().unwrap()),
            ("evidence_dir", evidence),
        ];
        for (name, value) in usual.iter().chain(more) {
            program = program.args(["--set", &format!("{name}={value}")]);
        }
        program.run(BOUND).await.unwrap()
    }
}

fn all(outcome: &Outcome) -> String {
    format!("{}\n{}", outcome.stdout, outcome.stderr)
}

#[test]
fn the_table_names_steps_of_the_page() {
    let text = std::fs::read_to_string(page()).unwrap();
    let words = ["@check ", "@command ", "@record ", "@confirm "];
    let steps: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| words.iter().find_map(|word| line.split_once(word)))
        .map(|(_, id)| id)
        .collect();
    let (_, table) = text.split_once("## Where each line of the triage is").unwrap();
    let mut named = 0;
    for name in table.split('`').skip(1).step_by(2).filter(|name| !name.contains(' ')) {
        assert!(steps.contains(name), "{name} is no step");
        named += 1;
    }
    assert!(named >= 12, "{named}");
}

#[tokio::test]
async fn a_client_that_only_needed_a_retry_is_found_well() {
    let ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    desk.good(&["mkdir", "/a"]).await;
    let triage = Triage { ground: &ground, vfs: &desk, client: "desk" };
    let outcome = triage.run(&[], &[]).await;
    assert_eq!(outcome.code(), Some(0), "{}", all(&outcome));
    assert_eq!(desk.good(&["queue"]).await, "nothing waits\n");
    // Both exports are there for whoever asks.
    let kept = std::fs::read_dir(&ground.scratch.0).unwrap();
    let names: Vec<String> = kept.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.iter().filter(|name| name.starts_with("before-")).count(), 1, "{names:?}");
    assert_eq!(names.iter().filter(|name| name.starts_with("after-")).count(), 1, "{names:?}");
}

#[tokio::test]
async fn a_server_that_was_set_back_is_told_from_a_fault_of_the_client() {
    let ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    desk.good(&["mkdir", "/a"]).await;
    desk.good(&["sync"]).await;
    desk.good(&["mkdir", "/b"]).await;
    desk.good(&["sync"]).await;
    // As nobody should: rows of the feed go, and its head with them.
    ground
        .database
        .execute(
            "DELETE FROM vfs_crdt_ops WHERE seq > (SELECT min(seq) FROM vfs_crdt_ops);
             DELETE FROM vfs_sync_changes WHERE seq > (SELECT max(seq) FROM vfs_crdt_ops);
             DELETE FROM vfs_crdt_replica_heads;
             UPDATE vfs_feed_head SET (seq, at) = (SELECT seq, occurred_at FROM vfs_crdt_ops)",
        )
        .await;
    let before = desk.state().await;
    let triage = Triage { ground: &ground, vfs: &desk, client: "desk" };
    let outcome = triage.run(&[], &[]).await;
    let said = all(&outcome);
    assert_ne!(outcome.code(), Some(0), "{said}");
    assert!(said.contains("HALTED at reconcile_state_is_not_ahead"), "{said}");
    assert!(said.contains("the database was set back"), "{said}");
    assert_eq!(desk.state().await["reconcileState"], before["reconcileState"], "nothing was believed");
    let said = desk.bad(1, &["state", "compare"]).await;
    assert!(said.contains("--rematerialize"), "{said}");
}

#[tokio::test]
async fn a_state_that_cannot_be_taken_up_is_replaced_by_the_last_good_one_after_a_person_agreed() {
    let ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    desk.good(&["mkdir", "/a"]).await;
    desk.good(&["sync"]).await;
    let connection = rusqlite::Connection::open(desk.directory.join("client.db")).unwrap();
    connection.execute("DELETE FROM state WHERE kind = 'link'", []).unwrap();
    drop(connection);
    let triage = Triage { ground: &ground, vfs: &desk, client: "desk" };
    let outcome = triage.run(&[], &[]).await;
    assert!(all(&outcome).contains("HALTED at export_before"), "{}", all(&outcome));
    assert!(all(&outcome).contains("tidegate run --stage start_over"), "{}", all(&outcome));
    let waiting = triage.program(&["run"]).args(["--stage", "start_over"]).run(BOUND).await.unwrap();
    assert!(all(&waiting).contains("give_up_the_state"), "{}", all(&waiting));
    let approved = triage.program(&["approve", "give_up_the_state"]).run(BOUND).await.unwrap();
    assert_eq!(approved.code(), Some(0), "{}", all(&approved));
    let outcome = triage.program(&["run"]).args(["--stage", "start_over"]).run(BOUND).await.unwrap();
    assert_eq!(outcome.code(), Some(0), "{}", all(&outcome));
    assert_eq!(desk.paths().await, ["/a/"]);
}

#[tokio::test]
async fn a_stage_that_waits_for_its_client_and_one_whose_time_is_over_are_told_apart() {
    let ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    let file = ground.file("f", b"bytes");
    // It dies when the stage is kept and not asked for yet.
    let mut commit = 0;
    let (staging_id, path) = loop {
        commit += 1;
        assert!(commit < 40, "no commit is of a stage");
        let path = format!("/f{commit}");
        desk.good(&["put", file.to_str().unwrap(), &path]).await;
        let outcome = desk.with("VFS_CRASH", &format!("after-commit:{commit}")).run(&["sync"]).await;
        assert!(outcome.code().is_none(), "{}", outcome.stderr);
        let queue: Value = serde_json::from_str(&desk.good(&["queue", "--json"]).await).unwrap();
        let tasks = queue["tasks"].as_array().unwrap();
        if let Some(id) = tasks.iter().find_map(|task| task["progress"]["stagingId"].as_str()) {
            break (id.to_owned(), path);
        }
        desk.good(&["sync"]).await;
    };
    let triage = Triage { ground: &ground, vfs: &desk, client: "desk" };
    // As if it were there, and its time were over.
    let blob = "SELECT id FROM vfs_registry WHERE object_type = 'blob' ORDER BY created_at DESC LIMIT 1";
    let blob: String = ground.database.value(blob).await;
    let stage = format!(
        "INSERT INTO vfs_registry (id, object_type, owner_id, created_at) VALUES ('{staging_id}', 'blobStage', 'ada', now());
         INSERT INTO vfs_links (id, parent_id, child_id, wrapped_session_key, visible_children, created_at)
         VALUES ('{staging_id}', '{staging_id}', '{blob}', 'blob-stage:staged',
                 '{{\"status\": \"staged\", \"expiresAt\": \"2000-01-01T00:00:00.000Z\"}}', now())"
    );
    ground.database.execute(&stage).await;
    let parameters = [("staging_id", staging_id.as_str()), ("required_at", "2000-01-01T00:00:00Z")];
    let outcome = triage.run(&parameters, &[]).await;
    assert_eq!(outcome.code(), Some(0), "{}", all(&outcome));
    // The client has made a new stage of the same bytes meanwhile, because the first one's time was over.
    assert_eq!(desk.good(&["queue"]).await, "nothing waits\n");
    assert_eq!(desk.good(&["get", &path]).await, "bytes");
    let outcome = triage.program(&["run"]).args(["--stage", "staged_blob"]).run(BOUND).await.unwrap();
    assert!(all(&outcome).contains("HALTED at stage_is_not_expired"), "{}", all(&outcome));
    let later = "UPDATE vfs_links SET visible_children = jsonb_set(visible_children, '{expiresAt}', '\"2100-01-01T00:00:00.000Z\"')
                 WHERE wrapped_session_key = 'blob-stage:staged'";
    ground.database.execute(later).await;
    // No map of writes is behind; a cursor of the future is.
    let parameters = [("staging_id", staging_id.as_str()), ("required_at", "2100-01-01T00:00:00Z")];
    let outcome = triage.run(&parameters, &[]).await;
    assert_eq!(outcome.code(), Some(0), "{}", all(&outcome));
    let outcome = triage.program(&["run"]).args(["--stage", "staged_blob"]).run(BOUND).await.unwrap();
    assert!(all(&outcome).contains("HALTED at cursor_has_come_so_far"), "{}", all(&outcome));
}

#[tokio::test]
async fn the_registry_the_store_and_its_permissions_are_told_apart() {
    use testkit::{S3Code, S3Fault, S3Operation};
    let ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    let file = ground.file("f", b"bytes");
    desk.good(&["put", file.to_str().unwrap(), "/f"]).await;
    desk.good(&["sync"]).await;
    let blob: String = ground.database.value("SELECT id FROM vfs_registry WHERE object_type = 'blob'").await;
    let triage = Triage { ground: &ground, vfs: &desk, client: "desk" };
    let stage = async |blob: &str| {
        let outcome = triage.run(&[("blob_id", blob)], &[]).await;
        assert_eq!(outcome.code(), Some(0), "{}", all(&outcome));
        all(&triage.program(&["run"]).args(["--stage", "persistence"]).run(BOUND).await.unwrap())
    };
    let said = stage("none").await;
    assert!(said.contains("HALTED at blob_is_registered") && said.contains("404:"), "{said}");
    let said = stage(&blob).await;
    assert!(!said.contains("HALTED"), "{said}");
    ground.s3.take_away(&blob).unwrap();
    let said = stage(&blob).await;
    assert!(said.contains("HALTED at object_is_there") && said.contains("orphaned metadata"), "{said}");
    ground.s3.fault_always(S3Operation::Put, S3Fault::Refuse(S3Code::AccessDenied));
    let said = stage(&blob).await;
    assert!(said.contains("HALTED at storage_answers"), "{said}");
}
