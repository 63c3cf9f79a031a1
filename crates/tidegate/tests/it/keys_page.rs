//! The pages about kv blocks and about changing keys: their examples are run as they say, and every line that they show
//! is looked for.

use std::path::PathBuf;

use serde_json::Value as Json;
use testkit::{Cluster, ClusterOptions, Database, Outcome, Program};

use crate::ledger_stage::on_stage;
use crate::own_table::{blocks, shape};
use crate::small_page::{BOUND, all, folder};

const PAGE: &str = include_str!("../../../../docs/kv-blocks.md");
const CHANGES: &str = include_str!("../../../../docs/kv-changes.md");
const MOVE: &str = include_str!("../../../../docs/examples/keys/move.md");
const RUNBOOK: &str = include_str!("../../../../docs/examples/keys/keys.md");
const KEYS: &str = include_str!("../../../../docs/examples/keys/keys.sql");

/// A folder with the example's files, a database, and the store that `keys.sql` makes.
struct Reader {
    cluster: Cluster,
    database: Database,
    folder: PathBuf,
}

impl Reader {
    async fn new(name: &str) -> Self {
        let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
        let folder = folder(name);
        std::fs::write(folder.join("keys.md"), RUNBOOK).unwrap();
        let store = rusqlite::Connection::open(folder.join("keys.db")).unwrap();
        store.execute_batch(KEYS).unwrap();
        let database = cluster.database("keys").await;
        Self { cluster, database, folder }
    }

    async fn run(&self, line: &str) -> Outcome {
        let programs =
            std::path::Path::new(env!("CARGO_BIN_EXE_tidegate")).parent().unwrap().display().to_string();
        let servers = self.cluster.programs().directory().display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        let program = Program::new("/bin/sh").args(["-c", line]).directory(&self.folder);
        program
            .env("PATH", format!("{programs}:{servers}:{path}"))
            .env("DATABASE_URL", self.database.url())
            .env("TRIPS_URL", "sqlite:keys.db")
            .env("TIDEGATE_RUNBOOK", "keys.md")
            .env("XDG_STATE_HOME", self.folder.join("state").display().to_string())
            .run(BOUND)
            .await
            .unwrap()
    }

    async fn document(&self, code: i32, line: &str) -> Json {
        let outcome = self.run(line).await;
        assert_eq!(outcome.code(), Some(code), "{line}\n{}", all(&outcome));
        serde_json::from_str(&outcome.stdout).unwrap()
    }

    /// Runs what a page shows; gives how many lines it says were found.
    async fn follow(&self, page: &str) -> usize {
        let mut shown = 0;
        for block in blocks(page).into_iter().filter(|block| block.language == "text") {
            let mut said = String::new();
            for line in &block.lines {
                if let Some(command) = line.strip_prefix("$ ") {
                    said = all(&self.run(command).await);
                } else {
                    let wanted = shape(line);
                    assert!(
                        said.lines().any(|found| shape(found) == wanted),
                        "not said: {line}\n{wanted}\n{said}"
                    );
                    shown += 1;
                }
            }
        }
        shown
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

#[test]
fn the_page_about_kv_blocks_says_what_happens() {
    on_stage(async {
        let reader = Reader::new("keys_page").await;
        assert!(reader.follow(PAGE).await >= 10);
    });
}

#[test]
fn the_page_about_changing_keys_says_what_happens() {
    on_stage(async {
        let reader = Reader::new("keys_changes").await;
        std::fs::write(reader.folder.join("keys.md"), MOVE).unwrap();
        assert!(reader.follow(CHANGES).await >= 10);
    });
}

#[test]
fn json_of_check_and_plan_names_what_the_keys_say() {
    on_stage(async {
        let reader = Reader::new("keys_json").await;
        let check = reader.document(0, "tidegate check --strict --json").await;
        assert_eq!(check.pointer("/runbook/stores/1/kind").unwrap(), "kv");
        assert_eq!(check.pointer("/runbook/stages/0/steps/0/what").unwrap(), "expect zero");
        assert_eq!(check.pointer("/runbook/stages/0/steps/3/what").unwrap(), "keep the rows that come back");
        let plan = reader.document(3, "tidegate plan --set name=Ann --json").await;
        assert_eq!(plan.pointer("/lines/0/finding/finding").unwrap(), "fail");
        let found = plan.pointer("/lines/0/finding/found").unwrap().as_str().unwrap();
        assert!(found.contains("\"trip:Ann:2\"") && found.contains("userid = Cleo"), "{found}");
    });
}

#[test]
fn check_shows_the_rules_by_which_keys_are_moved() {
    on_stage(async {
        let reader = Reader::new("keys_rules").await;
        std::fs::write(reader.folder.join("keys.md"), MOVE).unwrap();
        let check = reader.document(0, "tidegate check --json").await;
        let rule = check.pointer("/runbook/rekey/0/rules/0").unwrap();
        assert_eq!(rule.get("prefix").unwrap(), "trip:");
        assert_eq!(rule.get("form").unwrap(), "many");
        assert_eq!(rule.pointer("/proof/0").unwrap(), "/userId");
        let said = all(&reader.run("tidegate check").await);
        assert!(said.contains("Rekey plan trips: its own journal in migrations"), "{said}");
        assert!(said.contains("logs/trip:OWNER:RECORD") && said.contains("owner at /userId"), "{said}");
    });
}

/// One of two people cannot be moved: what stands under her name is somebody else's.
#[test]
fn where_some_cannot_be_moved_it_is_said_that_the_others_are_done() {
    on_stage(async {
        let reader = Reader::new("keys_some").await;
        let page = MOVE
            .replace("# @max-failure-rate 50%", "# @max-failure-rate 0%")
            .replace("('u2', 'Bea')", "('u2', 'Bea:B')");
        std::fs::write(reader.folder.join("keys.md"), page).unwrap();
        let run = reader.run("tidegate run --apply --actor ann").await;
        let (run, status) = (all(&run), all(&reader.run("tidegate status").await));
        for said in [&run, &status] {
            assert!(said.contains("See which failed and why"), "{said}");
            assert!(!said.contains("Mend what the check found"), "{said}");
        }
    });
}

#[test]
fn strict_refuses_a_block_of_kv_that_is_neither_step_nor_example() {
    on_stage(async {
        let reader = Reader::new("keys_strict").await;
        std::fs::write(reader.folder.join("keys.md"), format!("{RUNBOOK}\n```kv\ncount logs trip:\n```\n"))
            .unwrap();
        let check = reader.run("tidegate check").await;
        assert_eq!(check.code(), Some(0), "{}", all(&check));
        let strict = reader.run("tidegate check --strict").await;
        assert_eq!(strict.code(), Some(2), "{}", all(&strict));
        assert!(all(&strict).contains("1 blocks that are no steps"), "{}", all(&strict));
    });
}

#[test]
fn the_password_of_a_key_value_store_is_in_nothing_that_is_written() {
    on_stage(async {
        let reader = Reader::new("keys_secret").await;
        let line =
            "TRIPS_URL=redis://:s3cr3t%40word@127.0.0.1:1/0 tidegate run --set name=Bea --apply --actor ann";
        let run = reader.run(line).await;
        assert_eq!(run.code(), Some(3), "{}", all(&run));
        assert!(all(&run).contains("unknown"), "{}", all(&run));
        let report = reader.run("tidegate report").await;
        for written in [all(&run), all(&report)] {
            assert!(!written.contains("s3cr3t"), "{written}");
        }
    });
}
