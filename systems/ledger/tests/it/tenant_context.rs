//! What a session sees and may do without a tenant, with a malformed one, and with another's.

use tokio_postgres::Client;

use crate::ground::{
    A, B, Deployment, Ground, LOT, become_tenant, begin_as, in_both_deployments, number, plant_lot, refusal,
    refusal_inside, text,
};

in_both_deployments!(
    a_fresh_session_has_no_tenant,
    the_tenant_ends_with_commit,
    the_tenant_ends_with_rollback,
    rolling_back_to_a_savepoint_takes_the_tenant_away,
    set_local_outside_a_transaction_names_no_tenant,
    naming_a_tenant_in_autocommit_lasts_one_statement,
    an_empty_setting_is_no_tenant,
    a_reset_setting_is_no_tenant,
    a_malformed_tenant_is_refused_everywhere,
    a_null_tenant_is_refused,
    an_upper_case_uuid_names_the_same_tenant,
    no_tenant_raises_nothing_on_empty_tables,
    another_tenants_rows_are_neither_seen_nor_written,
);

/// Relations that belong to tenants.
const TENANT_RELATIONS: [&str; 7] = [
    "credit_lots",
    "lot_entries",
    "lot_balances",
    "lot_totals",
    "crypto_payments",
    "usage_events",
    "reconciliation_cursor",
];

/// An insert by the application into each of the tenants' tables, for one tenant.
fn inserts(tenant: &str) -> [String; 5] {
    [
        format!(
            "INSERT INTO credit_lots (community_id, source, amount_micro) VALUES ('{tenant}', 'seed', 5)"
        ),
        format!(
            "INSERT INTO lot_entries (lot_id, community_id, entry_type, amount_micro)
             VALUES ('{LOT}', '{tenant}', 'debit', 5)"
        ),
        format!("INSERT INTO crypto_payments (community_id, amount_usd) VALUES ('{tenant}', 5)"),
        format!(
            "INSERT INTO usage_events (event_id, community_id, nft_id, pool_id)
             VALUES (gen_random_uuid(), '{tenant}', 'nft', 'pool')"
        ),
        format!("INSERT INTO reconciliation_cursor (community_id) VALUES ('{tenant}')"),
    ]
}

/// Functions that need a tenant.
fn calls() -> [String; 2] {
    [
        "SELECT app.current_community_id()".to_owned(),
        format!("SELECT app.update_lot_status('{LOT}', 'expired')"),
    ]
}

/// One row of tenant A in every table, and the application's connection.
async fn planted(deployment: Deployment) -> (Ground, Client) {
    let ground = Ground::migrated(deployment).await;
    let app = ground.app().await;
    plant_lot(&app).await;
    begin_as(&app, A).await;
    for sql in &inserts(A)[2..] {
        app.batch_execute(sql).await.unwrap();
    }
    for relation in TENANT_RELATIONS {
        let seen = number(&app, &format!("SELECT count(*) FROM {relation}")).await;
        assert_eq!(seen, 1, "{relation} has a row to hide");
    }
    app.batch_execute("COMMIT").await.unwrap();
    // A session of its own, so that nothing of the planting is left in it.
    let fresh = ground.app().await;
    (ground, fresh)
}

/// Outside a transaction: no row, no insert, no function.
async fn assert_no_tenant(app: &Client) {
    for relation in TENANT_RELATIONS {
        assert_eq!(number(app, &format!("SELECT count(*) FROM {relation}")).await, 0, "{relation}");
    }
    for sql in inserts(A) {
        let (code, message) = refusal(app, &sql).await;
        assert_eq!(code, "42501", "{sql}");
        assert!(message.contains("row-level security"), "{message}");
    }
    for sql in calls() {
        assert_eq!(
            refusal(app, &sql).await,
            ("P0001".to_owned(), "app.community_id is not set".to_owned()),
            "{sql}"
        );
    }
}

async fn a_fresh_session_has_no_tenant(deployment: Deployment) {
    let (_ground, app) = planted(deployment).await;
    assert_no_tenant(&app).await;
}

async fn the_tenant_ends_with_commit(deployment: Deployment) {
    let (_ground, app) = planted(deployment).await;
    begin_as(&app, A).await;
    assert_eq!(number(&app, "SELECT count(*) FROM credit_lots").await, 1);
    app.batch_execute("COMMIT").await.unwrap();
    assert_eq!(text(&app, "SELECT current_setting('app.community_id', true)").await, "");
    assert_no_tenant(&app).await;
}

async fn the_tenant_ends_with_rollback(deployment: Deployment) {
    let (_ground, app) = planted(deployment).await;
    begin_as(&app, A).await;
    app.batch_execute("ROLLBACK").await.unwrap();
    assert_no_tenant(&app).await;
}

async fn rolling_back_to_a_savepoint_takes_the_tenant_away(deployment: Deployment) {
    let (_ground, app) = planted(deployment).await;
    app.batch_execute("BEGIN; SAVEPOINT before").await.unwrap();
    become_tenant(&app, A).await;
    app.batch_execute("ROLLBACK TO SAVEPOINT before").await.unwrap();
    for relation in TENANT_RELATIONS {
        assert_eq!(number(&app, &format!("SELECT count(*) FROM {relation}")).await, 0, "{relation}");
    }
    for sql in inserts(A) {
        assert_eq!(refusal_inside(&app, &sql).await.0, "42501", "{sql}");
    }
    for sql in calls() {
        assert_eq!(refusal_inside(&app, &sql).await.0, "P0001", "{sql}");
    }
}

async fn set_local_outside_a_transaction_names_no_tenant(deployment: Deployment) {
    let (_ground, app) = planted(deployment).await;
    app.batch_execute(&format!("SET LOCAL app.community_id = '{A}'")).await.unwrap();
    assert_no_tenant(&app).await;
}

async fn naming_a_tenant_in_autocommit_lasts_one_statement(deployment: Deployment) {
    let (_ground, app) = planted(deployment).await;
    become_tenant(&app, A).await;
    assert_no_tenant(&app).await;
}

async fn an_empty_setting_is_no_tenant(deployment: Deployment) {
    let (_ground, app) = planted(deployment).await;
    app.batch_execute("SET app.community_id = ''").await.unwrap();
    assert_no_tenant(&app).await;
}

async fn a_reset_setting_is_no_tenant(deployment: Deployment) {
    let (_ground, app) = planted(deployment).await;
    app.batch_execute(&format!("SET app.community_id = '{A}'")).await.unwrap();
    assert_eq!(number(&app, "SELECT count(*) FROM credit_lots").await, 1);
    app.batch_execute("RESET app.community_id").await.unwrap();
    assert_no_tenant(&app).await;
}

async fn a_malformed_tenant_is_refused_everywhere(deployment: Deployment) {
    let (_ground, app) = planted(deployment).await;
    app.batch_execute("SET app.community_id = 'not-a-uuid'").await.unwrap();
    for relation in TENANT_RELATIONS {
        assert_eq!(refusal(&app, &format!("SELECT * FROM {relation}")).await.0, "22P02", "{relation}");
    }
    for sql in inserts(A).into_iter().chain(calls()) {
        assert_eq!(refusal(&app, &sql).await.0, "22P02", "{sql}");
    }
    assert_eq!(refusal(&app, "SELECT app.set_community_context('not-a-uuid')").await.0, "22P02");
}

async fn a_null_tenant_is_refused(deployment: Deployment) {
    let (_ground, app) = planted(deployment).await;
    begin_as(&app, A).await;
    assert_eq!(refusal_inside(&app, "SELECT app.set_community_context(NULL)").await.0, "22004");
    assert_eq!(number(&app, "SELECT count(*) FROM credit_lots").await, 1, "the earlier tenant stands");
}

async fn an_upper_case_uuid_names_the_same_tenant(deployment: Deployment) {
    let (_ground, app) = planted(deployment).await;
    begin_as(&app, &A.to_uppercase()).await;
    assert_eq!(text(&app, "SELECT app.current_community_id()::text").await, A);
    assert_eq!(number(&app, "SELECT count(*) FROM credit_lots").await, 1);
}

async fn no_tenant_raises_nothing_on_empty_tables(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let app = ground.app().await;
    for relation in TENANT_RELATIONS {
        for sql in [
            format!("SELECT * FROM {relation}"),
            format!("SELECT * FROM {relation} LIMIT 0"),
            format!("SELECT * FROM {relation} WHERE false"),
        ] {
            assert_eq!(app.query(&sql, &[]).await.unwrap().len(), 0, "{sql}");
        }
        app.query(&format!("EXPLAIN SELECT * FROM {relation}"), &[]).await.unwrap();
    }
}

async fn another_tenants_rows_are_neither_seen_nor_written(deployment: Deployment) {
    let (_ground, app) = planted(deployment).await;
    begin_as(&app, B).await;
    for relation in TENANT_RELATIONS {
        assert_eq!(number(&app, &format!("SELECT count(*) FROM {relation}")).await, 0, "{relation}");
    }
    for sql in inserts(A) {
        assert_eq!(refusal_inside(&app, &sql).await.0, "42501", "{sql}");
    }
    for sql in [
        "UPDATE crypto_payments SET checkout_url = 'elsewhere'",
        "UPDATE reconciliation_cursor SET last_fence_token = 9",
    ] {
        assert_eq!(app.execute(sql, &[]).await.unwrap(), 0, "{sql}");
    }
    for sql in [
        format!("UPDATE crypto_payments SET community_id = '{B}'"),
        format!("UPDATE reconciliation_cursor SET community_id = '{B}'"),
    ] {
        become_tenant(&app, A).await;
        assert!(matches!(refusal_inside(&app, &sql).await.0.as_str(), "LG005" | "LG007" | "42501"), "{sql}");
    }
}
