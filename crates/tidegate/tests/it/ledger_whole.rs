//! The ledger's runbook, whole, as SU and as OWN: forward, back, forward again, restored.

use crate::ledger_stage::{Deployment, LedgerStage, on_stage, told};

/// One row of every kind in the ledger, written by the application.
const ROWS: &str = "
BEGIN;
SELECT app.set_community_context('11111111-1111-4111-8111-111111111111');
INSERT INTO credit_lots (community_id, source, amount_micro) VALUES (app.current_community_id(), 'seed', 1000000);
INSERT INTO usage_events (event_id, community_id, nft_id, pool_id, amount_micro)
VALUES (gen_random_uuid(), app.current_community_id(), 'n', 'p', 5);
COMMIT;
";

async fn whole(deployment: Deployment) {
    let stage = LedgerStage::new(deployment).await;
    let before = stage.schema().await;

    let checked = stage.call(&stage.program(["check"])).await;
    assert_eq!(checked.code(), Some(0), "{}", told(&checked));
    let planned = stage.call(&stage.with_parameters(["plan"])).await;
    assert_eq!(planned.code(), Some(0), "{}", told(&planned));
    assert!(planned.stdout.contains("not yet: needs"), "{}", told(&planned));
    assert_eq!(stage.schema().await, before, "a dry run changes nothing");

    stage.run_to_the_end().await;
    let migrated = stage.schema().await;
    let versions = "SELECT string_agg(version, ' ' ORDER BY version) FROM tidegate_version";
    assert_eq!(
        stage.database.value::<String>(versions).await,
        "0008 0009 0010 0011 0012 0013 0014 0015 0016 0017 0018 0019"
    );
    let rechecked = stage.call(&stage.with_parameters(["recheck"])).await;
    assert_eq!(rechecked.code(), Some(0), "{}", told(&rechecked));

    // Rows of others refuse the way back until their figures are repeated.
    stage.database.client_as("arrakis_app").await.batch_execute(ROWS).await.unwrap();
    let refused = stage
        .call(&stage.with_parameters(["rollback", "--to", "backup", "--apply", "--actor", "alice"]))
        .await;
    assert_eq!(refused.code(), Some(3), "{}", told(&refused));
    let shown = format!("{}{}", refused.stdout, refused.stderr);
    assert!(shown.contains("public.credit_lots=1"), "{}", told(&refused));
    assert!(shown.contains("public.usage_events=1"), "{}", told(&refused));
    let figures = figures(&shown);
    let back = stage
        .call(
            &stage
                .with_parameters(["rollback", "--to", "backup", "--apply", "--actor", "alice", "--undo"])
                .args(["--accept-loss", &figures]),
        )
        .await;
    assert_eq!(back.code(), Some(7), "{}", told(&back));
    let without_versions = |schema: &str| {
        schema.lines().filter(|line| !line.contains("tidegate_version")).collect::<Vec<_>>().join("\n")
    };
    let undone = stage.schema().await;
    assert!(!undone.contains("credit_lots"), "{undone}");
    assert!(!without_versions(&undone).contains("app."), "{undone}");

    // Forward again, from the stage it went back to.
    let again = stage.run().await;
    assert_eq!(again.code(), Some(0), "{}", told(&again));
    assert_eq!(stage.schema().await, migrated);

    // All of it back, by restore: another person approves.
    stage.database.client_as("arrakis_app").await.batch_execute(ROWS).await.unwrap();
    let migrator = stage.database.client_as(&stage.migrator).await;
    migrator.batch_execute("CREATE TABLE made_since (id int)").await.unwrap();
    let refused = stage
        .call(&stage.with_parameters(["rollback", "--way", "restore_all", "--apply", "--actor", "alice"]))
        .await;
    assert_eq!(refused.code(), Some(3), "{}", told(&refused));
    let shown = format!("{}{}", refused.stdout, refused.stderr);
    let figures = self::figures(&shown);
    let restore = stage
        .with_parameters(["rollback", "--way", "restore_all", "--apply", "--actor", "alice"])
        .args(["--accept-loss", &figures]);
    let waiting = stage.call(&restore).await;
    assert_eq!(waiting.code(), Some(6), "{}", told(&waiting));
    stage.approve("restore_go").await;
    let restored = stage.call(&restore).await;
    assert_eq!(restored.code(), Some(7), "{}", told(&restored));
    assert_eq!(stage.schema().await, before, "exactly the schema of the backup");
    let audited = stage.call(&stage.program(["audit", "verify"])).await;
    assert_eq!(audited.code(), Some(0), "{}", told(&audited));

    // A new run goes all the way again.
    stage.run_to_the_end().await;
    assert_eq!(stage.schema().await, migrated);
}

/// The figures as the program prints them: the text that `--accept-loss` wants.
pub(crate) fn figures(shown: &str) -> String {
    let (_, after) = shown.rsplit_once("--accept-loss").unwrap_or_else(|| panic!("no figures in {shown}"));
    let figures = after.trim_start_matches(['=', ' ', '\'', '"']);
    figures.split(['\'', '"', ' ', '\n']).next().unwrap_or_default().to_owned()
}

#[test]
fn a_superuser_goes_forward_back_and_restores() {
    on_stage(whole(Deployment::Su));
}

#[test]
fn a_plain_owner_goes_forward_back_and_restores() {
    on_stage(whole(Deployment::Own));
}
