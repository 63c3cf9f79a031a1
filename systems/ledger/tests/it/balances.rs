//! Balances: isolation, values, and the refusal to overdraw.

use tokio::task::JoinSet;

use crate::ground::{
    A, B, Deployment, Ground, LOT, accepted_inside, apply, become_tenant, begin_as, in_both_deployments,
    number, plant_lot, refusal, refusal_inside, text,
};

in_both_deployments!(
    the_view_sums_the_journal_in_integers,
    a_lot_without_entries_has_a_balance_of_zero,
    views_and_totals_show_a_tenant_its_own_lots_only,
    totals_equal_the_journal_after_every_kind_of_entry,
    a_lot_cannot_be_overdrawn_or_credited_twice,
    concurrent_debits_never_overdraw,
    an_entry_on_another_tenants_lot_is_refused,
    totals_cannot_be_written_by_hand,
    totals_are_filled_from_rows_that_were_there_before,
    an_overdrawn_journal_stops_the_migration,
    rows_beyond_the_bounds_stop_the_migration_that_sets_them_and_are_named,
    what_tenants_were_given_is_filled_from_lots_that_were_there_before,
    what_a_tenant_was_given_cannot_be_written_by_hand,
    an_entry_on_another_tenants_lot_stops_the_migration_that_forbids_it,
    entries_of_several_tenants_pass_the_migration_that_ties_them_to_their_lots,
    one_debit_per_lot_and_reservation,
    one_lot_per_payment_over_all_tenants,
);

fn entry(tenant: &str, kind: &str, amount: i64) -> String {
    format!(
        "INSERT INTO lot_entries (lot_id, community_id, entry_type, amount_micro)
         VALUES ('{LOT}', '{tenant}', '{kind}', {amount})"
    )
}

async fn the_view_sums_the_journal_in_integers(deployment: Deployment) {
    let ground = Ground::at(deployment, "0009").await;
    let app = ground.app().await;
    plant_lot(&app).await;
    begin_as(&app, A).await;
    for (kind, amount) in [("debit", 300_000), ("credit_back", 100_000), ("expiry", 50_000)] {
        app.batch_execute(&entry(A, kind, amount)).await.unwrap();
    }
    let row = app
        .query_one(
            "SELECT original_micro, credited_micro, debited_micro, remaining_micro FROM lot_balances",
            &[],
        )
        .await
        .unwrap();
    let values: Vec<i64> = (0..4).map(|column| row.get(column)).collect();
    assert_eq!(values, [1_000_000, 1_100_000, 350_000, 750_000]);
}

async fn a_lot_without_entries_has_a_balance_of_zero(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let app = ground.app().await;
    begin_as(&app, A).await;
    app.batch_execute(&format!(
        "INSERT INTO credit_lots (community_id, source, amount_micro) VALUES ('{A}', 'grant', 9)"
    ))
    .await
    .unwrap();
    let both = "SELECT b.remaining_micro + b.credited_micro + b.debited_micro + t.remaining_micro
                FROM lot_balances b JOIN lot_totals t USING (lot_id)";
    assert_eq!(number(&app, both).await, 0);
}

async fn views_and_totals_show_a_tenant_its_own_lots_only(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let app = ground.app().await;
    plant_lot(&app).await;
    for relation in ["lot_balances", "lot_totals"] {
        let count = format!("SELECT count(*) FROM {relation}");
        for (tenant, expected) in [(A, 1), (B, 0)] {
            begin_as(&app, tenant).await;
            assert_eq!(number(&app, &count).await, expected, "{relation}");
            app.batch_execute("ROLLBACK").await.unwrap();
        }
        assert_eq!(number(&app, &count).await, 0, "{relation} without a tenant");
    }
}

async fn totals_equal_the_journal_after_every_kind_of_entry(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let app = ground.app().await;
    plant_lot(&app).await;
    begin_as(&app, A).await;
    for (kind, amount, remaining) in [
        ("debit", 300_000, 700_000),
        ("credit_back", 300_000, 1_000_000),
        ("debit", 999_999, 1),
        ("expiry", 1, 0),
    ] {
        app.batch_execute(&entry(A, kind, amount)).await.unwrap();
        assert_eq!(
            number(&app, "SELECT remaining_micro FROM lot_totals").await,
            remaining,
            "{kind} {amount}"
        );
        assert_eq!(
            number(&app, "SELECT remaining_micro FROM lot_balances").await,
            remaining,
            "{kind} {amount}"
        );
    }
}

async fn a_lot_cannot_be_overdrawn_or_credited_twice(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let app = ground.app().await;
    plant_lot(&app).await;
    begin_as(&app, A).await;
    accepted_inside(&app, &entry(A, "debit", 1_000_000)).await;
    for (kind, amount) in [("debit", 1_000_001), ("expiry", 1_000_001), ("credit", 1), ("credit_back", 1)] {
        let (code, message) = refusal_inside(&app, &entry(A, kind, amount)).await;
        assert_eq!(code, "23514", "{kind} {amount}");
        assert!(message.contains("lot_totals_"), "{message}");
    }
    assert_eq!(refusal_inside(&app, &entry(A, "debit", 0)).await.0, "23514");
    assert_eq!(refusal_inside(&app, &entry(A, "debit", -5)).await.0, "23514");
    assert_eq!(refusal_inside(&app, &entry(A, "gift", 5)).await.0, "23514");
}

async fn concurrent_debits_never_overdraw(deployment: Deployment) {
    const SESSIONS: usize = 32;
    let ground = Ground::migrated(deployment).await;
    plant_lot(&ground.app().await).await;
    let mut debits = JoinSet::new();
    for _ in 0..SESSIONS {
        let app = ground.app().await;
        debits.spawn(async move {
            begin_as(&app, A).await;
            match app.batch_execute(&entry(A, "debit", 700_000)).await {
                Ok(()) => app.batch_execute("COMMIT").await.map(|()| true).unwrap(),
                Err(error) => {
                    assert_eq!(error.code().unwrap().code(), "23514");
                    false
                }
            }
        });
    }
    let booked = debits.join_all().await.into_iter().filter(|booked| *booked).count();
    assert_eq!(booked, 1);
    let app = ground.app().await;
    begin_as(&app, A).await;
    assert_eq!(number(&app, "SELECT remaining_micro FROM lot_totals").await, 300_000);
    assert_eq!(number(&app, "SELECT remaining_micro FROM lot_balances").await, 300_000);
}

async fn an_entry_on_another_tenants_lot_is_refused(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let app = ground.app().await;
    plant_lot(&app).await;
    begin_as(&app, B).await;
    let (code, message) = refusal_inside(&app, &entry(B, "debit", 999_999)).await;
    assert_eq!(code, "23503");
    assert!(message.contains("lot_entries_lot_of_tenant"), "{message}");
    let payment = format!(
        "INSERT INTO crypto_payments (community_id, amount_usd, status, credits_mint_lot_id)
         VALUES ('{B}', 1, 'finished', '{LOT}')"
    );
    assert_eq!(refusal_inside(&app, &payment).await.0, "23503");
    app.batch_execute("ROLLBACK").await.unwrap();
    begin_as(&app, A).await;
    assert_eq!(number(&app, "SELECT remaining_micro FROM lot_totals").await, 1_000_000);
}

async fn totals_cannot_be_written_by_hand(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    plant_lot(&ground.app().await).await;
    let migrator = ground.migrator().await;
    let insert = format!(
        "INSERT INTO lot_totals (lot_id, community_id, amount_micro) VALUES (gen_random_uuid(), '{A}', 5)"
    );
    for sql in ["UPDATE lot_totals SET debit_micro = 0", "DELETE FROM lot_totals", insert.as_str()] {
        begin_as(&migrator, A).await;
        assert_eq!(refusal(&migrator, sql).await.0, "LG006", "{sql}");
        migrator.batch_execute("ROLLBACK").await.unwrap();
    }
    let app = ground.app().await;
    begin_as(&app, A).await;
    assert_eq!(refusal_inside(&app, "UPDATE lot_totals SET debit_micro = 0").await.0, "42501");
}

/// The text of one migration.
fn migration(version: &str) -> &'static str {
    ledger::MIGRATIONS.iter().find(|(name, _)| name.starts_with(version)).unwrap().1
}

async fn totals_are_filled_from_rows_that_were_there_before(deployment: Deployment) {
    let ground = Ground::at(deployment, "0012").await;
    let app = ground.app().await;
    plant_lot(&app).await;
    begin_as(&app, A).await;
    app.batch_execute(&entry(A, "debit", 250_000)).await.unwrap();
    become_tenant(&app, B).await;
    app.batch_execute(&format!(
        "INSERT INTO credit_lots (community_id, source, amount_micro) VALUES ('{B}', 'grant', 9); COMMIT"
    ))
    .await
    .unwrap();

    apply(&mut ground.migrator().await, migration("0013")).await.unwrap();

    for (tenant, expected) in [(A, "750000"), (B, "0")] {
        begin_as(&app, tenant).await;
        let sums = "SELECT string_agg(remaining_micro::text, ',') FROM lot_totals";
        assert_eq!(text(&app, sums).await, expected);
        app.batch_execute("ROLLBACK").await.unwrap();
    }
    let forced = "SELECT count(*) FROM pg_class WHERE relforcerowsecurity AND relrowsecurity
                  AND relname IN ('credit_lots', 'lot_entries', 'lot_totals')";
    assert_eq!(number(&app, forced).await, 3, "row security is forced again");
}

async fn an_overdrawn_journal_stops_the_migration(deployment: Deployment) {
    let ground = Ground::at(deployment, "0012").await;
    let app = ground.app().await;
    plant_lot(&app).await;
    begin_as(&app, A).await;
    app.batch_execute(&format!("{}; COMMIT", entry(A, "debit", 1_000_001))).await.unwrap();
    let before = ground.schema().await;
    let error = apply(&mut ground.migrator().await, migration("0013")).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "23514");
    assert_eq!(ground.schema().await, before);
}

async fn rows_beyond_the_bounds_stop_the_migration_that_sets_them_and_are_named(deployment: Deployment) {
    const MUCH: i64 = 9_000_000_000_000_000_000;
    let ground = Ground::at(deployment, "0018").await;
    let app = ground.app().await;
    // Two lots that cannot be added up; one of which more was debited than can be counted for long; many small ones.
    for key in ["l1", "l2"] {
        app.batch_execute(&format!("SELECT app.mint('{A}', '{key}', 'grant', {MUCH}, NULL, NULL)"))
            .await
            .unwrap();
    }
    app.batch_execute(&format!("SELECT app.mint('{B}', 'l', 'grant', 5, NULL, NULL)")).await.unwrap();
    let worn = format!(
        "SET session_replication_role = replica;
         UPDATE lot_totals SET debit_micro = {MUCH} + 1, credit_back_micro = {MUCH} + 1 WHERE community_id = '{B}';
         SET session_replication_role = origin"
    );
    ground.database.execute(&worn).await;
    let root = ground.database.client().await;
    let rows = "SELECT string_agg(one::text, ' ' ORDER BY one::text) FROM (TABLE credit_lots) AS one";
    let (schema, before) = (ground.schema().await, text(&root, rows).await);
    let error = apply(&mut ground.migrator().await, migration("0019")).await.unwrap_err();
    let refused = error.as_db_error().unwrap();
    assert_eq!(refused.code().code(), "LG010");
    let lots = "SELECT string_agg(lot_id::text, ' ') FROM lot_totals";
    for lot in text(&root, lots).await.split(' ') {
        assert!(refused.message().contains(lot), "{lot}: {}", refused.message());
    }
    let total = format!("tenant {A}: 18000000000000000000 minted in all");
    assert!(refused.message().contains(&total), "{}", refused.message());
    assert!(refused.hint().unwrap().contains("Nothing was changed"), "{:?}", refused.hint());
    assert_eq!((ground.schema().await, text(&root, rows).await), (schema, before));
}

async fn what_tenants_were_given_is_filled_from_lots_that_were_there_before(deployment: Deployment) {
    let ground = Ground::at(deployment, "0018").await;
    let app = ground.app().await;
    for (tenant, amount) in [(A, 5), (B, 7), (A, 10_000_000_000_000_000_i64)] {
        let lot = format!("SELECT app.mint('{tenant}', 'l{amount}', 'grant', {amount}, NULL, NULL)");
        app.batch_execute(&lot).await.unwrap();
    }
    apply(&mut ground.migrator().await, migration("0019")).await.unwrap();
    app.batch_execute(&format!("SELECT app.mint('{B}', 'another', 'grant', 3, NULL, NULL)")).await.unwrap();
    for (tenant, expected) in [(A, 10_000_000_000_000_005), (B, 10)] {
        begin_as(&app, tenant).await;
        assert_eq!(number(&app, "SELECT sum(minted_micro)::bigint FROM tenant_totals").await, expected);
        app.batch_execute("ROLLBACK").await.unwrap();
    }
    let forced = "SELECT count(*) FROM pg_class WHERE relforcerowsecurity AND relrowsecurity
                  AND relname IN ('credit_lots', 'lot_totals', 'tenant_totals')";
    assert_eq!(number(&app, forced).await, 3, "row security is forced again");
}

async fn what_a_tenant_was_given_cannot_be_written_by_hand(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let app = ground.app().await;
    plant_lot(&app).await;
    let migrator = ground.migrator().await;
    begin_as(&migrator, A).await;
    for sql in [
        "UPDATE tenant_totals SET minted_micro = 1".to_owned(),
        format!("INSERT INTO tenant_totals VALUES ('{B}', 1)"),
        "DELETE FROM tenant_totals".to_owned(),
    ] {
        assert_eq!(refusal_inside(&migrator, &sql).await.0, "LG006", "{sql}");
    }
    assert_eq!(refusal_inside(&migrator, "TRUNCATE tenant_totals").await.0, "LG001");
    begin_as(&app, A).await;
    assert_eq!(refusal_inside(&app, "UPDATE tenant_totals SET minted_micro = 1").await.0, "42501");
    assert_eq!(number(&app, "SELECT minted_micro FROM tenant_totals").await, 1_000_000);
}

async fn one_debit_per_lot_and_reservation(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let app = ground.app().await;
    plant_lot(&app).await;
    begin_as(&app, A).await;
    let debit = format!(
        "INSERT INTO lot_entries (lot_id, community_id, entry_type, amount_micro, reservation_id)
         VALUES ('{LOT}', '{A}', 'debit', 5, 'r-1')"
    );
    app.batch_execute(&debit).await.unwrap();
    assert_eq!(refusal_inside(&app, &debit).await.0, "23505");
    accepted_inside(&app, &debit.replace("'debit'", "'credit_back'")).await;
}

async fn one_lot_per_payment_over_all_tenants(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let app = ground.app().await;
    let mint = |tenant: &str, source: &str| {
        format!(
            "INSERT INTO credit_lots (community_id, source, payment_id, amount_micro)
             VALUES ('{tenant}', '{source}', 'pay-1', 5)"
        )
    };
    begin_as(&app, A).await;
    app.batch_execute(&mint(A, "purchase")).await.unwrap();
    become_tenant(&app, B).await;
    assert_eq!(refusal_inside(&app, &mint(B, "x402")).await.0, "23505");
    let again =
        format!("{} ON CONFLICT (payment_id) WHERE payment_id IS NOT NULL DO NOTHING", mint(B, "x402"));
    assert_eq!(app.execute(&again, &[]).await.unwrap(), 0);
}

async fn an_entry_on_another_tenants_lot_stops_the_migration_that_forbids_it(deployment: Deployment) {
    let ground = Ground::at(deployment, "0011").await;
    let app = ground.app().await;
    plant_lot(&app).await;
    begin_as(&app, B).await;
    app.batch_execute(&format!("{}; COMMIT", entry(B, "debit", 5))).await.unwrap();
    let before = ground.schema().await;
    let error = apply(&mut ground.migrator().await, migration("0012")).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "23503", "row security hides no row from the validation");
    assert_eq!(ground.schema().await, before);
}

async fn entries_of_several_tenants_pass_the_migration_that_ties_them_to_their_lots(deployment: Deployment) {
    let ground = Ground::at(deployment, "0011").await;
    let app = ground.app().await;
    plant_lot(&app).await;
    let other = "dddddddd-0000-4000-8000-000000000004";
    begin_as(&app, B).await;
    app.batch_execute(&format!(
        "INSERT INTO credit_lots (id, community_id, source, amount_micro) VALUES ('{other}', '{B}', 'grant', 9);
         {}; COMMIT",
        entry(B, "credit", 9).replace(LOT, other)
    ))
    .await
    .unwrap();
    apply(&mut ground.migrator().await, migration("0012")).await.unwrap();
    let forced = "SELECT count(*) FROM pg_class WHERE relforcerowsecurity AND relrowsecurity
                  AND relname IN ('credit_lots', 'lot_entries', 'crypto_payments')";
    assert_eq!(number(&app, forced).await, 3, "row security is forced again");
}
