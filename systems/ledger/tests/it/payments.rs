//! The state machine of payments and their fixed columns.

use tokio_postgres::Client;

use crate::ground::{
    A, Deployment, Ground, accepted_inside, begin_as, in_both_deployments, refusal_inside, text,
};

in_both_deployments!(
    every_move_between_nine_statuses_is_decided,
    keeping_the_status_lets_details_be_stored,
    fixed_columns_stay,
    columns_that_are_set_once_stay_set,
    an_unknown_status_is_refused,
    the_rank_is_the_databases_own,
    an_amount_is_never_rounded,
);

const STATUSES: [&str; 9] = [
    "waiting",
    "confirming",
    "confirmed",
    "sending",
    "partially_paid",
    "finished",
    "expired",
    "failed",
    "refunded",
];

async fn app(deployment: Deployment) -> (Ground, Client) {
    let ground = Ground::migrated(deployment).await;
    let app = ground.app().await;
    begin_as(&app, A).await;
    (ground, app)
}

/// A payment in a status, in the open transaction.
async fn insert(app: &Client, status: &str) {
    let sql = format!(
        "INSERT INTO crypto_payments (community_id, amount_usd, status) VALUES ('{A}', 12.34, '{status}')"
    );
    app.batch_execute(&sql).await.unwrap();
}

/// What the page says about a move: allowed, backwards, or away from a final status.
fn expected(from: usize, to: usize) -> Result<(), &'static str> {
    const FINISHED: usize = 5;
    const REFUNDED: usize = 8;
    match (from, to) {
        _ if to == from => Ok(()),
        _ if to < from => Err("Payment status cannot go backwards"),
        (FINISHED, REFUNDED) => Ok(()),
        _ if from >= FINISHED => Err("Payment status is final"),
        _ => Ok(()),
    }
}

async fn every_move_between_nine_statuses_is_decided(deployment: Deployment) {
    let (_ground, app) = app(deployment).await;
    let mut allowed = 0;
    for (from, old) in STATUSES.into_iter().enumerate() {
        for (to, new) in STATUSES.into_iter().enumerate() {
            app.batch_execute("SAVEPOINT pair").await.unwrap();
            insert(&app, old).await;
            let update = format!("UPDATE crypto_payments SET status = '{new}'");
            match expected(from, to) {
                Ok(()) => {
                    assert_eq!(app.execute(&update, &[]).await.unwrap(), 1, "{old} → {new}");
                    assert_eq!(text(&app, "SELECT status FROM crypto_payments").await, new);
                    allowed += 1;
                }
                Err(sentence) => {
                    let refused = refusal_inside(&app, &update).await;
                    assert_eq!(refused, ("LG004".to_owned(), format!("{sentence}: {old} → {new}")));
                    assert_eq!(text(&app, "SELECT status FROM crypto_payments").await, old);
                }
            }
            app.batch_execute("ROLLBACK TO SAVEPOINT pair").await.unwrap();
        }
    }
    // 9 repeats, 8+7+6+5+4 moves from the open statuses, finished → refunded.
    assert_eq!(allowed, 9 + 30 + 1);
}

async fn keeping_the_status_lets_details_be_stored(deployment: Deployment) {
    let (_ground, app) = app(deployment).await;
    for status in STATUSES {
        app.batch_execute("SAVEPOINT one").await.unwrap();
        insert(&app, status).await;
        for change in [
            "payment_id = 'np-1'",
            "checkout_url = 'https://pay.example/1'",
            "checkout_url = NULL",
            "amount_crypto = 12.5",
            "metadata = '{\"seen\": true}'",
            "credits_minted_at = now()",
        ] {
            let sql = format!("UPDATE crypto_payments SET {change}, status = '{status}'");
            assert_eq!(app.execute(&sql, &[]).await.unwrap(), 1, "{sql}");
        }
        app.batch_execute("ROLLBACK TO SAVEPOINT one").await.unwrap();
    }
}

async fn fixed_columns_stay(deployment: Deployment) {
    let (_ground, app) = app(deployment).await;
    insert(&app, "waiting").await;
    for (column, value) in [
        ("id", "gen_random_uuid()"),
        ("community_id", "gen_random_uuid()"),
        ("amount_usd", "99"),
        ("currency", "'BTC'"),
        ("created_at", "now() - interval '1 day'"),
    ] {
        for status in ["waiting", "finished"] {
            let sql = format!("UPDATE crypto_payments SET {column} = {value}, status = '{status}'");
            let refused = refusal_inside(&app, &sql).await;
            assert_eq!(
                refused,
                ("LG005".to_owned(), format!("Payment {column} is fixed and may not change")),
                "{sql}"
            );
        }
    }
}

async fn columns_that_are_set_once_stay_set(deployment: Deployment) {
    let (_ground, app) = app(deployment).await;
    insert(&app, "finished").await;
    for (column, first, second) in
        [("payment_id", "'np-1'", "'np-2'"), ("credits_minted_at", "now()", "now() + interval '1 second'")]
    {
        app.batch_execute(&format!("UPDATE crypto_payments SET {column} = {first}")).await.unwrap();
        accepted_inside(&app, &format!("UPDATE crypto_payments SET {column} = {first}")).await;
        for other in [second, "NULL"] {
            let sql = format!("UPDATE crypto_payments SET {column} = {other}");
            assert_eq!(refusal_inside(&app, &sql).await.0, "LG005", "{sql}");
        }
    }
}

async fn an_unknown_status_is_refused(deployment: Deployment) {
    let (_ground, app) = app(deployment).await;
    let unknown =
        format!("INSERT INTO crypto_payments (community_id, amount_usd, status) VALUES ('{A}', 1, 'paid')");
    let refused = refusal_inside(&app, &unknown).await;
    assert_eq!(refused, ("LG003".to_owned(), "Unknown payment status: paid".to_owned()));
    insert(&app, "waiting").await;
    assert_eq!(refusal_inside(&app, "UPDATE crypto_payments SET status = 'FINISHED'").await.0, "LG003");
    assert_eq!(refusal_inside(&app, "UPDATE crypto_payments SET status = NULL").await.0, "LG003");
}

async fn the_rank_is_the_databases_own(deployment: Deployment) {
    let (_ground, app) = app(deployment).await;
    for (rank, status) in STATUSES.into_iter().enumerate() {
        app.batch_execute("SAVEPOINT one").await.unwrap();
        insert(&app, status).await;
        app.batch_execute("UPDATE crypto_payments SET status_rank = 99").await.unwrap();
        assert_eq!(text(&app, "SELECT status_rank::text FROM crypto_payments").await, rank.to_string());
        app.batch_execute("ROLLBACK TO SAVEPOINT one").await.unwrap();
    }
}

async fn an_amount_is_never_rounded(deployment: Deployment) {
    let (_ground, app) = app(deployment).await;
    for amount in ["10.005", "0", "-1", "10000000000", "'NaN'"] {
        let sql = format!("INSERT INTO crypto_payments (community_id, amount_usd) VALUES ('{A}', {amount})");
        assert_eq!(refusal_inside(&app, &sql).await.0, "23514", "{amount}");
    }
    for amount in ["10", "10.00", "10.010", "9999999999.99"] {
        accepted_inside(
            &app,
            &format!("INSERT INTO crypto_payments (community_id, amount_usd) VALUES ('{A}', {amount})"),
        )
        .await;
    }
}
