//! The system role looks across tenants and writes as the application.

use crate::ground::{
    A, B, Deployment, Ground, LOT, begin_as, in_both_deployments, number, plant_lot, refusal, text,
};

in_both_deployments!(
    it_sees_every_tenant,
    it_writes_no_tenants_rows_itself,
    it_finds_a_payment_and_mints_as_the_tenant_in_one_transaction,
    it_could_read_nothing_of_the_ledger_before_its_migration,
);

/// What it reads of each tenant: by its own migration, and by later ones.
const READABLE: [&str; 8] = [
    "credit_lots",
    "lot_entries",
    "lot_totals",
    "lot_balances",
    "crypto_payments",
    "usage_events",
    "s2s_jwks_public_keys",
    "reconciliation_cursor",
];
const LATER: [&str; 4] = ["reservations", "circuit_breakers", "ledger_requests", "tenant_totals"];

async fn it_sees_every_tenant(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let app = ground.app().await;
    plant_lot(&app).await;
    begin_as(&app, B).await;
    let lot = format!(
        "INSERT INTO credit_lots (community_id, source, amount_micro) VALUES ('{B}', 'grant', 9); COMMIT"
    );
    app.batch_execute(&lot).await.unwrap();
    let system = ground.system().await;
    for relation in READABLE.iter().chain(&LATER) {
        number(&system, &format!("SELECT count(*) FROM {relation}")).await;
    }
    assert_eq!(number(&system, "SELECT count(DISTINCT community_id) FROM lot_balances").await, 2);
    // Its policies alone would do; taken back with the transaction.
    app.batch_execute(&format!("SELECT app.mint('{A}', 'l', 'grant', 9, NULL, NULL)")).await.unwrap();
    let root = ground.database.client().await;
    root.batch_execute("BEGIN; ALTER ROLE arrakis_admin NOBYPASSRLS; SET LOCAL ROLE arrakis_admin")
        .await
        .unwrap();
    for relation in ["lot_balances", "tenant_totals"] {
        let tenants = format!("SELECT count(DISTINCT community_id) FROM {relation}");
        assert_eq!(number(&root, &tenants).await, 2, "{relation}");
    }
    assert_eq!(number(&root, "SELECT count(*) FROM ledger_requests").await, 1);
}

async fn it_writes_no_tenants_rows_itself(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let system = ground.system().await;
    for sql in [
        format!("INSERT INTO credit_lots (community_id, source, amount_micro) VALUES ('{A}', 'grant', 9)"),
        format!("INSERT INTO crypto_payments (community_id, amount_usd) VALUES ('{A}', 9)"),
        "UPDATE crypto_payments SET status = 'finished'".to_owned(),
        "UPDATE reconciliation_cursor SET last_fence_token = 9".to_owned(),
        "DELETE FROM usage_events".to_owned(),
        format!("SELECT app.update_lot_status('{LOT}', 'expired')"),
    ] {
        assert_eq!(refusal(&system, &sql).await.0, "42501", "{sql}");
    }
}

async fn it_finds_a_payment_and_mints_as_the_tenant_in_one_transaction(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let app = ground.app().await;
    begin_as(&app, A).await;
    app.batch_execute(&format!(
        "INSERT INTO crypto_payments (community_id, payment_id, amount_usd) VALUES ('{A}', 'pay-1', 1); COMMIT"
    ))
    .await
    .unwrap();

    let system = ground.system().await;
    system
        .batch_execute(
            "BEGIN; INSERT INTO webhook_events (provider, event_id) VALUES ('nowpayments', 'pay-1:finished')",
        )
        .await
        .unwrap();
    let tenant =
        text(&system, "SELECT community_id::text FROM crypto_payments WHERE payment_id = 'pay-1'").await;
    assert_eq!(tenant, A);
    system
        .batch_execute(&format!("SET LOCAL ROLE arrakis_app; SELECT app.set_community_context('{tenant}')"))
        .await
        .unwrap();
    system
        .batch_execute(&format!(
            "INSERT INTO credit_lots (id, community_id, source, payment_id, amount_micro)
             VALUES ('{LOT}', '{A}', 'purchase', 'pay-1', 1000000);
             INSERT INTO lot_entries (lot_id, community_id, entry_type, amount_micro)
             VALUES ('{LOT}', '{A}', 'credit', 1000000);
             UPDATE crypto_payments SET status = 'finished', credits_mint_lot_id = '{LOT}', credits_minted_at = now();
             COMMIT"
        ))
        .await
        .unwrap();

    begin_as(&app, A).await;
    assert_eq!(number(&app, "SELECT remaining_micro FROM lot_totals").await, 1_000_000);
    assert_eq!(text(&app, "SELECT status FROM crypto_payments").await, "finished");
}

async fn it_could_read_nothing_of_the_ledger_before_its_migration(deployment: Deployment) {
    let ground = Ground::at(deployment, "0015").await;
    let system = ground.system().await;
    for relation in READABLE {
        assert_eq!(refusal(&system, &format!("SELECT * FROM {relation}")).await.0, "42501", "{relation}");
    }
}
