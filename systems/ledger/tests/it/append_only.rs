//! What was written stays: for the application, the owner, and a superuser.

use crate::ground::{
    A, Deployment, Ground, LOT, begin_as, in_both_deployments, plant_lot, refusal, refusal_inside, text,
};

in_both_deployments!(
    the_migrating_role_may_not_change_what_was_written,
    the_application_may_not_change_what_was_written,
    nobody_may_truncate,
    truncate_was_possible_before_its_guards,
);

/// Append-only tables with a column to try an update on.
const APPEND_ONLY: [(&str, &str); 4] = [
    ("credit_lots", "amount_micro = 7"),
    ("lot_entries", "amount_micro = 7"),
    ("webhook_events", "payload = '{}'"),
    ("usage_events", "amount_micro = 7"),
];

/// Every table of the ledger.
const TABLES: [&str; 8] = [
    "credit_lots",
    "lot_entries",
    "lot_totals",
    "webhook_events",
    "crypto_payments",
    "usage_events",
    "s2s_jwks_public_keys",
    "reconciliation_cursor",
];

async fn plant(ground: &Ground) {
    let app = ground.app().await;
    plant_lot(&app).await;
    begin_as(&app, A).await;
    app.batch_execute(&format!(
        "INSERT INTO usage_events (event_id, community_id, nft_id, pool_id, amount_micro)
         VALUES ('{LOT}', '{A}', 'nft', 'pool', 3);
         COMMIT"
    ))
    .await
    .unwrap();
    let system = ground.system().await;
    system
        .batch_execute(
            "INSERT INTO webhook_events (provider, event_id, payload) VALUES ('x402', 'one', '{\"n\": 1}')",
        )
        .await
        .unwrap();
}

/// A digest over all rows, read by the superuser.
async fn digest(ground: &Ground, table: &str) -> String {
    let root = ground.database.client().await;
    let sql = format!(
        "SELECT count(*) || ':' || md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {table} t"
    );
    text(&root, &sql).await
}

async fn the_migrating_role_may_not_change_what_was_written(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    plant(&ground).await;
    let migrator = ground.migrator().await;
    for (table, change) in APPEND_ONLY {
        let before = digest(&ground, table).await;
        assert!(before.starts_with("1:"), "{table} has a row to keep");
        // With and without a tenant, with and without a row to find.
        for tenant in ["", A] {
            migrator.batch_execute("BEGIN").await.unwrap();
            migrator
                .batch_execute(&format!("SELECT set_config('app.community_id', '{tenant}', true)"))
                .await
                .unwrap();
            for (verb, sql) in [
                ("UPDATE", format!("UPDATE {table} SET {change}")),
                ("UPDATE", format!("UPDATE {table} SET {change} WHERE false")),
                ("DELETE", format!("DELETE FROM {table}")),
                ("DELETE", format!("DELETE FROM {table} WHERE false")),
            ] {
                let expected = format!("{table} is append-only: {verb} not permitted");
                assert_eq!(refusal_inside(&migrator, &sql).await, ("LG001".to_owned(), expected), "{sql}");
            }
            migrator.batch_execute("ROLLBACK").await.unwrap();
        }
        assert_eq!(digest(&ground, table).await, before);
    }
}

async fn the_application_may_not_change_what_was_written(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    plant(&ground).await;
    let app = ground.app().await;
    begin_as(&app, A).await;
    for (table, change) in APPEND_ONLY {
        for sql in [format!("UPDATE {table} SET {change}"), format!("DELETE FROM {table}")] {
            let (code, message) = refusal_inside(&app, &sql).await;
            assert_eq!(
                (code.as_str(), message),
                ("42501", format!("permission denied for table {table}")),
                "{sql}"
            );
        }
    }
    for sql in [
        "DELETE FROM crypto_payments",
        "DELETE FROM s2s_jwks_public_keys",
        "DELETE FROM reconciliation_cursor",
    ] {
        assert_eq!(refusal_inside(&app, sql).await.0, "42501", "{sql}");
    }
}

async fn nobody_may_truncate(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    plant(&ground).await;
    let migrator = ground.migrator().await;
    let root = ground.database.client().await;
    let app = ground.app().await;
    for table in TABLES {
        let sql = format!("TRUNCATE {table} CASCADE");
        for client in [&migrator, &root] {
            let (code, message) = refusal(client, &sql).await;
            assert_eq!(code, "LG001", "{sql}");
            assert!(message.ends_with("belongs to the ledger: TRUNCATE not permitted"), "{message}");
        }
        assert_eq!(refusal(&app, &sql).await.0, "42501", "{sql}");
    }
}

async fn truncate_was_possible_before_its_guards(deployment: Deployment) {
    let ground = Ground::at(deployment, "0013").await;
    plant(&ground).await;
    ground.migrator().await.batch_execute("TRUNCATE credit_lots CASCADE").await.unwrap();
    assert!(
        digest(&ground, "lot_entries").await.starts_with("0:"),
        "so the guards of 0014 are what refuses it"
    );
}
