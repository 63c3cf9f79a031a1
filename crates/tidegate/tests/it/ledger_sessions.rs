//! Connection trouble during the ledger's migration: idle transactions stop it, and the manual stage ends them.

use std::path::PathBuf;

use testkit::Program;

use crate::ledger_stage::{Deployment, LedgerStage, on_stage, told};

/// The page with its ages cut down, so that a test need not wait for ten minutes.
struct ImpatientPage {
    folder: PathBuf,
}

impl ImpatientPage {
    fn new(stage: &LedgerStage) -> Self {
        let folder = stage.backups.join("impatient");
        for part in ["runbooks", "migrations"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
        let page = ledger::RUNBOOK
            .replace("state_change < now() - interval '1 minute'", "state_change < clock_timestamp()")
            .replace("state_change < now() - interval '10 minutes'", "state_change < clock_timestamp()")
            .replace("older_than = \"10m\"", "older_than = \"1ms\"");
        std::fs::write(folder.join("runbooks/economic-ledger.md"), page).unwrap();
        std::fs::write(folder.join("tidegate.toml"), "").unwrap();
        for (name, text) in ledger::MIGRATIONS {
            std::fs::write(folder.join("migrations").join(name), text).unwrap();
        }
        Self { folder }
    }

    fn with(&self, program: Program) -> Program {
        program.env("TIDEGATE_RUNBOOK", self.folder.join("runbooks/economic-ledger.md"))
    }
}

async fn idle_transactions(deployment: Deployment) {
    let stage = LedgerStage::new(deployment).await;
    let page = ImpatientPage::new(&stage);
    let idle = stage.database.client_as("arrakis_app").await;
    idle.batch_execute("BEGIN; SELECT 1").await.unwrap();

    let halted = stage.call(&page.with(stage.run_program())).await;
    assert_eq!(halted.code(), Some(3), "{}", told(&halted));
    let shown = format!("{}{}", halted.stdout, halted.stderr);
    assert!(shown.contains("a long statement or transaction is open"), "{shown}");
    assert!(shown.contains("idle in transaction"), "the row is shown: {shown}");

    // The manual stage runs while the run is halted: it shows who, waits for a person, and ends them.
    let connections = page.with(stage.run_program()).args(["--stage", "connections"]);
    let waiting = stage.call(&connections).await;
    assert_eq!(waiting.code(), Some(6), "{}", told(&waiting));
    let approved =
        stage.call(&page.with(stage.program(["approve", "may_end_sessions", "--actor", "bob"]))).await;
    assert_eq!(approved.code(), Some(0), "{}", told(&approved));
    let ended = stage.call(&connections).await;
    assert_eq!(ended.code(), Some(0), "{}", told(&ended));
    assert!(idle.batch_execute("SELECT 1").await.is_err(), "the session was ended");

    // The run has not moved: it goes on where it halted.
    let status = stage.call(&page.with(stage.program(["status"]))).await;
    assert!(status.stdout.contains("halted") || status.stdout.contains("HALTED"), "{}", told(&status));
    let waiting = stage.call(&page.with(stage.run_program())).await;
    assert_eq!(waiting.code(), Some(6), "{}", told(&waiting));
}

#[test]
fn idle_transactions_stop_a_superuser_until_the_manual_stage_has_ended_them() {
    on_stage(idle_transactions(Deployment::Su));
}

#[test]
fn idle_transactions_stop_a_plain_owner_until_the_manual_stage_has_ended_them() {
    on_stage(idle_transactions(Deployment::Own));
}

#[test]
fn too_many_pooled_clients_and_a_closed_window_stop_the_checklist() {
    on_stage(async {
        let stage = LedgerStage::new(Deployment::Su).await;
        let halted = stage.call(&stage.run_program().args(["--set", "max_connections=0"])).await;
        assert_eq!(halted.code(), Some(3), "{}", told(&halted));
        assert!(
            format!("{}{}", halted.stdout, halted.stderr)
                .contains("too many clients are connected through the pooler"),
            "{}",
            told(&halted)
        );

        let stage = LedgerStage::new(Deployment::Su).await;
        let closed = stage
            .program(["run", "--apply", "--yes", "--actor", "alice"])
            .args(["--set", "window_start=2020-01-01T00:00:00Z", "--set", "window_end=2020-01-02T00:00:00Z"])
            .args(["--set".to_owned(), format!("backup_dir={}", stage.backups.display())]);
        let halted = stage.call(&closed).await;
        assert_eq!(halted.code(), Some(3), "{}", told(&halted));
        assert!(
            format!("{}{}", halted.stdout, halted.stderr).contains("the maintenance window is not open"),
            "{}",
            told(&halted)
        );
    });
}

#[test]
fn a_backup_folder_that_is_missing_or_full_is_found_before_anything_runs() {
    on_stage(async {
        let stage = LedgerStage::new(Deployment::Su).await;
        let nowhere = stage
            .program(["run", "--apply", "--yes", "--actor", "alice"])
            .args(["--set", "window_start=2020-01-01T00:00:00Z", "--set", "window_end=2100-01-01T00:00:00Z"])
            .args(["--set", "backup_dir=/nowhere/at/all"]);
        let halted = stage.call(&nowhere).await;
        assert_eq!(halted.code(), Some(3), "{}", told(&halted));
        let shown = format!("{}{}", halted.stdout, halted.stderr);
        assert!(shown.contains("/nowhere/at/all"), "{shown}");
        assert!(!shown.contains("server_version"), "found before the first step: {shown}");
    });
}
