//! A filled ledger can be dumped by a role that row security does not stop, and restored.

use std::path::PathBuf;
use std::time::Duration;

use testkit::{Outcome, Program};

use crate::ground::{A, Deployment, Ground, begin_as, in_both_deployments, plant_lot, text};

in_both_deployments!(a_dump_of_a_filled_ledger_restores_to_the_same_rows_and_schema);

/// Login of the runbook's `dump`, as a managed cloud would make it.
const DUMP: &str = "ledger_dump";
const BOUND: Duration = Duration::from_secs(60);

const TABLES: [&str; 8] = [
    "communities",
    "profiles",
    "credit_lots",
    "lot_entries",
    "lot_totals",
    "crypto_payments",
    "usage_events",
    "webhook_events",
];

async fn run(ground: &Ground, program: &str, arguments: &[&str]) -> Outcome {
    let path = ground.cluster.programs().program(program);
    Program::new(path).args(arguments.iter().copied()).run(BOUND).await.unwrap()
}

/// A digest over the rows of every table, read by the superuser.
async fn digest(ground: &Ground) -> Vec<String> {
    let root = ground.database.client().await;
    let mut digests = Vec::new();
    for table in TABLES {
        let sql = format!(
            "SELECT count(*) || ':' || md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {table} t"
        );
        digests.push(format!("{table} {}", text(&root, &sql).await));
    }
    digests
}

async fn a_dump_of_a_filled_ledger_restores_to_the_same_rows_and_schema(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    ground.cluster.role_with(DUMP, "LOGIN BYPASSRLS IN ROLE pg_read_all_data").await.unwrap();
    let app = ground.app().await;
    plant_lot(&app).await;
    begin_as(&app, A).await;
    app.batch_execute(&format!(
        "INSERT INTO crypto_payments (community_id, amount_usd) VALUES ('{A}', 5);
         INSERT INTO usage_events (event_id, community_id, nft_id, pool_id) VALUES (gen_random_uuid(), '{A}', 'n', 'p');
         COMMIT"
    ))
    .await
    .unwrap();
    ground
        .system()
        .await
        .batch_execute("INSERT INTO webhook_events (provider, event_id) VALUES ('x402', 'n-1')")
        .await
        .unwrap();
    let before = digest(&ground).await;
    assert!(before.iter().all(|digest| !digest.contains(" 0:")), "every table has a row: {before:?}");

    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.dump", ground.database.name()));
    let file = file.to_str().unwrap();
    let dumped = run(&ground, "pg_dump", &["-Fc", "-f", file, &ground.database.url_for(DUMP)]).await;
    assert_eq!((dumped.code(), dumped.stderr.as_str()), (Some(0), ""));

    let fresh = Ground::empty(deployment).await;
    let url = fresh.database.url_for(fresh.migrator_name());
    let restored =
        run(&fresh, "pg_restore", &["-1", "--exit-on-error", "--no-owner", "-d", &url, file]).await;
    std::fs::remove_file(file).unwrap();
    assert_eq!((restored.code(), restored.stderr.as_str()), (Some(0), ""));
    assert_eq!(digest(&fresh).await, before);
    assert_eq!(fresh.schema().await, ground.schema().await);
}

#[tokio::test]
async fn a_plain_owner_cannot_dump_a_ledger_so_the_runbook_asks_for_another_login() {
    let ground = Ground::migrated(Deployment::Own).await;
    let dumped = run(
        &ground,
        "pg_dump",
        &["-Fc", "-f", "/dev/null", &ground.database.url_for(ground.migrator_name())],
    )
    .await;
    assert_eq!(dumped.code(), Some(1));
    assert!(dumped.stderr.contains("would be affected by row-level security"), "{}", dumped.stderr);
}
