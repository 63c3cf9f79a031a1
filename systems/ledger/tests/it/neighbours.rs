//! What one tenant can do so that another one waits: nothing.

use std::time::Duration;

use serde_json::json;
use testkit::Program;

use crate::ground::{A, APP, B, Deployment, SYSTEM, in_both_deployments_direct_and_pooled};
use crate::town::{BOUND, Town};

in_both_deployments_direct_and_pooled!(
    tokens_of_keys_that_nobody_has_take_one_session,
    what_all_tenants_share_is_refused_before_it_is_looked_at,
    a_tenant_whose_sweep_fails_keeps_no_other_waiting,
    a_tenant_whose_lock_is_held_keeps_no_others_payments_waiting,
);

/// More than there are sessions.
const MANY: usize = 60;

/// Sessions of the application that wait for a lock on the keys.
const READERS: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = 'arrakis_app' AND wait_event_type = 'Lock'";

async fn tokens_of_keys_that_nobody_has_take_one_session(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let b = town.of(B);
    b.post("lots", json!({ "key": "l", "source": "grant", "amountMicro": 100 })).await.good();
    let stranger = town.with_token(&town.key.sign("nobody's", &town.claims(&json!({}))).unwrap(), A);
    // Whoever reads the keys now does not come back.
    let holder = town.ground.database.client().await;
    holder.batch_execute("BEGIN; LOCK TABLE s2s_jwks_public_keys IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let asked = std::cell::RefCell::new(Vec::new());
    testkit::eventually("the keys are read anew", BOUND, async || {
        let stranger = stranger.clone();
        asked.borrow_mut().push(tokio::spawn(async move { stranger.get("balance").await }));
        (town.ground.database.value::<i64>(READERS).await > 0).then_some(())
    })
    .await
    .unwrap();
    let mut asked = asked.into_inner();
    for _ in 0..MANY {
        let stranger = stranger.clone();
        asked.push(tokio::spawn(async move { stranger.get("balance").await }));
    }
    for number in 0..20 {
        b.post("debits", json!({ "key": format!("d{number}"), "amountMicro": 1 })).await.good();
        b.get("balance").await.good();
    }
    assert_eq!(town.ground.database.value::<i64>(READERS).await, 1, "one reads for all");
    holder.batch_execute("ROLLBACK").await.unwrap();
    for one in asked {
        let answer = one.await.unwrap();
        assert!(matches!(answer.refusal(), (401, "UNAUTHORIZED") | (503, "BUSY")), "{}", answer.text);
    }
}

async fn a_tenant_whose_sweep_fails_keeps_no_other_waiting(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let (a, b) = (town.of(A), town.of(B));
    for ask in [&a, &b] {
        ask.post("lots", json!({ "key": "l", "source": "grant", "amountMicro": 100 })).await.good();
        let reservation = json!({ "reservationId": "r", "amountMicro": 60, "seconds": 1 });
        ask.post("reservations", reservation).await.good();
    }
    // Of the one that comes first in the order of sweeping, somebody lost where to its reservation goes back.
    let lost = format!(
        "SET session_replication_role = replica;
         UPDATE reservations SET lots = '[]' WHERE community_id = '{A}';
         SET session_replication_role = origin"
    );
    town.ground.database.execute(&lost).await;
    testkit::eventually("both are due", BOUND, async || {
        (town.ledger.due(10).await.unwrap().len() == 2).then_some(())
    })
    .await
    .unwrap();
    let ended = Program::new(env!("CARGO_BIN_EXE_ledger"))
        .arg("sweep")
        .env("DATABASE_URL", town.ground.database.url_for(APP))
        .env("DATABASE_SYSTEM_URL", town.ground.database.url_for(SYSTEM))
        .run(Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(b.get("balance").await.good()["spendableMicro"], 100, "{}", ended.stderr);
    assert_eq!(ended.code(), Some(1), "{}", ended.stdout);
    assert!(ended.stdout.starts_with("1 reservations given back"), "{}", ended.stdout);
    assert!(ended.stderr.contains(A) && !ended.stderr.contains(B), "{}", ended.stderr);
}

/// Sessions of the system that wait for a lock.
const NOTICES: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = 'arrakis_admin' AND wait_event_type = 'Lock'";

async fn a_tenant_whose_lock_is_held_keeps_no_others_payments_waiting(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let payment = |id: &str| json!({ "paymentId": id, "amountUsd": "29.99" });
    for number in 0..MANY {
        town.of(A).post("payments", payment(&format!("a{number}"))).await.good();
    }
    let holder = town.ground.app().await;
    holder.batch_execute(&format!("BEGIN; SELECT app.enter_tenant('{A}')")).await.unwrap();
    let asked: Vec<_> =
        (0..MANY).map(|number| tokio::spawn(town.notice(&format!("a{number}"), "finished"))).collect();
    testkit::eventually("the first of them waits", BOUND, async || {
        (town.ground.database.value::<i64>(NOTICES).await > 0).then_some(())
    })
    .await
    .unwrap();
    for number in 0..20 {
        let id = format!("b{number}");
        town.of(B).post("payments", payment(&id)).await.good();
        let began = std::time::Instant::now();
        assert_eq!(town.notice(&id, "finished").await.good()["mintedMicro"], 29_990_000);
        // Those of A would each have kept a session for two seconds, and ten of them all that there are.
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert!(town.ground.database.value::<i64>(NOTICES).await <= 1, "one session for all of A's");
    }
    // Nobody waits for ever, and nothing is kept of what could not be done: the provider comes again.
    for one in asked {
        let answer = one.await.unwrap();
        assert_eq!(answer.refusal(), (503, "BUSY"), "{}", answer.text);
    }
    assert_eq!(town.ground.database.value::<i64>("SELECT count(*) FROM webhook_events").await, 20);
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(town.notice("a0", "finished").await.good()["mintedMicro"], 29_990_000);
    town.holds().await;
}

async fn what_all_tenants_share_is_refused_before_it_is_looked_at(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let payment = |id: &str, amount: &str| json!({ "paymentId": id, "amountUsd": amount });
    town.of(A).post("payments", payment("5", "29.99")).await.good();
    let b = town.with_token(&town.token(&json!({ "community": B })), B);
    b.get("balance").await.good();
    // Whether another tenant has it, nobody has it, or nobody could: one answer, and nothing is kept.
    let first = b.post("payments", payment("5", "29.99")).await;
    assert_eq!(first.refusal(), (403, "ALL_TENANTS_ONLY"));
    for body in [payment("6", "29.99"), payment("", "x"), json!([])] {
        let answer = b.post("payments", body).await;
        assert_eq!((answer.status, &answer.text), (first.status, &first.text));
    }
    assert_eq!(town.ground.database.value::<i64>("SELECT count(*) FROM crypto_payments").await, 1);
}
