//! Partial application (42P07, 42710): named by doctor, and both options of the operations page work.

use crate::ledger_stage::{Deployment, LedgerStage, on_stage, told};

fn migration(name: &str) -> &'static str {
    ledger::MIGRATIONS.iter().find(|(file, _)| file.starts_with(name)).unwrap().1
}

/// Somebody has applied 0008 whole and the first table of 0009 by hand; the run halts at the first of them.
async fn half_applied() -> LedgerStage {
    let stage = LedgerStage::new(Deployment::Su).await;
    let waiting = stage.run().await;
    assert_eq!(waiting.code(), Some(6), "{}", told(&waiting));
    stage.approve("window").await;
    stage.database.execute(migration("0008")).await;
    stage
}

#[test]
fn what_exists_is_named_with_both_options() {
    on_stage(async {
        let stage = half_applied().await;
        let halted = stage.run().await;
        assert_eq!(halted.code(), Some(3), "{}", told(&halted));
        let shown = format!("{}{}", halted.stdout, halted.stderr);
        for part in ["42P06", "Option A", "Option B", "tidegate adopt apply_0008"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let doctor = stage.call(&stage.with_parameters(["doctor"])).await;
        let shown = format!("{}{}", doctor.stdout, doctor.stderr);
        assert!(shown.contains("apply_0008"), "{shown}");
        assert!(shown.contains("tidegate adopt apply_0008"), "{shown}");
    });
}

#[test]
fn option_a_undo_it_and_run_it_anew() {
    on_stage(async {
        let stage = half_applied().await;
        assert_eq!(stage.run().await.code(), Some(3));
        stage.database.execute("DROP SCHEMA app CASCADE").await;
        let done = stage.run().await;
        assert_eq!(done.code(), Some(0), "{}", told(&done));
    });
}

#[test]
fn option_b_take_over_what_exists_if_it_is_the_same() {
    on_stage(async {
        let stage = half_applied().await;
        assert_eq!(stage.run().await.code(), Some(3));
        let adopt = || {
            stage.with_parameters([
                "adopt",
                "apply_0008",
                "--actor",
                "carol",
                "--reason",
                "applied by hand on Monday",
            ])
        };
        // Not while it differs.
        stage.database.execute("CREATE OR REPLACE FUNCTION app.set_community_context(community uuid) RETURNS void LANGUAGE sql AS 'SELECT NULL::void'").await;
        let refused = stage.call(&adopt()).await;
        assert_ne!(refused.code(), Some(0), "{}", told(&refused));
        assert!(
            format!("{}{}", refused.stdout, refused.stderr).contains("set_community_context"),
            "{}",
            told(&refused)
        );
        stage.database.execute("DROP SCHEMA app CASCADE").await;
        stage.database.execute(migration("0008")).await;
        let adopted = stage.call(&adopt()).await;
        assert_eq!(adopted.code(), Some(0), "{}", told(&adopted));
        let journal: String = stage
            .database
            .value("SELECT body FROM tidegate.event WHERE body LIKE '%\"kind\":\"adopted\"%'")
            .await;
        assert!(journal.contains("carol") && journal.contains("applied by hand on Monday"), "{journal}");
        let done = stage.run().await;
        assert_eq!(done.code(), Some(0), "{}", told(&done));
    });
}
