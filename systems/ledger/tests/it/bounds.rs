//! Bounds: no sum that the ledger makes overflows, since what would lead there is refused.

use ledger::bounds::{AMOUNT_MAX_MICRO, TOTAL_MAX_MICRO};
use serde_json::json;
use uuid::Uuid;

use crate::ground::{A, B, Deployment, begin_as, in_both_deployments_direct_and_pooled, number};
use crate::town::Town;

in_both_deployments_direct_and_pooled!(
    lots_near_the_end_of_the_numbers_are_refused_and_their_tenant_is_swept,
    a_tenant_at_its_bound_is_summed_swept_and_verified,
    a_lot_of_which_as_much_was_debited_as_can_be_gives_back_and_is_swept,
    a_payment_beyond_the_bound_is_refused_and_nothing_is_kept,
);

/// Lots of the largest amount that a tenant may have.
const LOTS: i64 = TOTAL_MAX_MICRO / AMOUNT_MAX_MICRO;

/// To the ledger, the time of all lots and reservations of A is over.
const TIME_PASSES: &str = "
    SET session_replication_role = replica;
    UPDATE credit_lots SET expires_at = '2001-01-01';
    UPDATE lot_totals SET spend_by = '2001-01-01' WHERE spend_by <> '-infinity';
    UPDATE reservations SET expires_at = '2001-01-01';
    SET session_replication_role = origin";

async fn lots_near_the_end_of_the_numbers_are_refused_and_their_tenant_is_swept(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let (ask, community): (_, Uuid) = (town.of(A), A.parse().unwrap());
    // Two of these could not be added up any more.
    for (key, amount) in
        [("l1", 9_000_000_000_000_000_000_i64), ("l2", i64::MAX), ("l3", AMOUNT_MAX_MICRO + 1)]
    {
        let lot = json!({ "key": key, "source": "grant", "amountMicro": amount });
        assert_eq!(ask.post("lots", lot).await.refusal(), (400, "INVALID_AMOUNT"), "{amount}");
        let minted = town.ledger.mint(community, key, "grant", amount, None).await.unwrap();
        assert_eq!(minted.reason(), Some(ledger::Reason::InvalidAmount), "{amount}");
    }
    for key in ["l1", "l2"] {
        let lot = json!({ "key": key, "source": "grant", "amountMicro": AMOUNT_MAX_MICRO });
        ask.post("lots", lot).await.good();
        ask.post("reservations", json!({ "reservationId": key, "amountMicro": AMOUNT_MAX_MICRO - 7 }))
            .await
            .good();
    }
    town.ground.database.execute(TIME_PASSES).await;
    let swept = town.ledger.sweep(community, 100).await.unwrap();
    assert_eq!(
        (&swept["reservations"], &swept["lots"], &swept["expiredMicro"]),
        (&json!(2), &json!(1), &json!(14))
    );
    assert_eq!(ask.get("balance").await.good()["spendableMicro"], 0);
    town.holds().await;
}

/// As many of the largest lots as A may have, each with its credit.
async fn fill(town: &Town) {
    let app = town.ground.app().await;
    begin_as(&app, A).await;
    app.batch_execute(&format!(
        "INSERT INTO credit_lots (community_id, source, amount_micro)
         SELECT '{A}', 'seed', {AMOUNT_MAX_MICRO} FROM generate_series(1, {LOTS});
         INSERT INTO lot_entries (lot_id, community_id, entry_type, amount_micro)
         SELECT id, community_id, 'credit', amount_micro FROM credit_lots; COMMIT"
    ))
    .await
    .unwrap();
}

async fn a_tenant_at_its_bound_is_summed_swept_and_verified(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let (ask, community): (_, Uuid) = (town.of(A), A.parse().unwrap());
    fill(&town).await;
    let balance = ask.get("balance").await.good();
    assert_eq!(balance["spendableMicro"], TOTAL_MAX_MICRO);
    let one_more = json!({ "key": "l", "source": "grant", "amountMicro": 1 });
    let refused = ask.post("lots", one_more.clone()).await;
    assert_eq!(
        (refused.refusal(), &refused.body["limitMicro"]),
        ((409, "LIMIT_EXCEEDED"), &json!(TOTAL_MAX_MICRO))
    );
    // Another tenant is as far from its bound as before.
    town.of(B).post("lots", one_more).await.good();
    // All of it is spent by half, set aside by half, and counted.
    let all: Vec<_> =
        (0..LOTS / 2).map(|at| json!({ "key": format!("d{at}"), "amountMicro": AMOUNT_MAX_MICRO })).collect();
    let answers = ask.post("debits/batch", json!({ "debits": all })).await.good();
    let is_done = |answer: &serde_json::Value| answer["status"] == "debited";
    assert!(answers["answers"].as_array().unwrap().iter().all(is_done), "{answers}");
    for at in 0..LOTS / 2 {
        let reservation = json!({ "reservationId": format!("r{at}"), "amountMicro": AMOUNT_MAX_MICRO });
        ask.post("reservations", reservation).await.good();
    }
    let balance = ask.get("balance").await.good();
    let sums = (&balance["spendableMicro"], &balance["reservedMicro"]);
    assert_eq!(sums, (&json!(0), &json!(TOTAL_MAX_MICRO / 2)));
    let pending = LOTS / 2 - 50;
    for at in pending..LOTS / 2 {
        let usage = json!({ "finalizationId": format!("f{at}"), "costMicro": AMOUNT_MAX_MICRO, "nftId": "n", "poolId": "p" });
        ask.post(&format!("reservations/r{at}/finalize"), usage).await.good();
    }
    let looked = town.ledger.reconcile(community, 1_000).await.unwrap();
    assert_eq!((&looked["amountMicro"], &looked["driftMicro"]), (&json!(50 * AMOUNT_MAX_MICRO), &json!(0)));
    let conserved = json!({ "countedMicro": 50 * AMOUNT_MAX_MICRO, "limitMicro": TOTAL_MAX_MICRO });
    assert_eq!(ask.post("conservation", conserved).await.good()["verdict"], "holds");
    for at in 0..20 {
        let back =
            json!({ "key": format!("c{at}"), "debitKey": format!("d{at}"), "amountMicro": AMOUNT_MAX_MICRO });
        ask.post("credit-backs", back).await.good();
    }
    town.ground.database.execute(TIME_PASSES).await;
    let swept = town.ledger.sweep(community, 1_000).await.unwrap();
    assert_eq!(
        (&swept["reservations"], &swept["lots"], &swept["expiredMicro"]),
        (&json!(pending), &json!(20), &json!(20 * AMOUNT_MAX_MICRO))
    );
    let balance = ask.get("balance").await.good();
    assert_eq!((&balance["spendableMicro"], &balance["reservedMicro"]), (&json!(0), &json!(0)));
    town.holds().await;
}

async fn a_lot_of_which_as_much_was_debited_as_can_be_gives_back_and_is_swept(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let (ask, community): (_, Uuid) = (town.of(A), A.parse().unwrap());
    ask.post("lots", json!({ "key": "l", "source": "grant", "amountMicro": 10_000 })).await.good();
    // As if all of it had been set aside and given back for hundreds of years.
    let turned = TOTAL_MAX_MICRO - 1_000;
    let worn = format!(
        "SET session_replication_role = replica;
         INSERT INTO lot_entries (lot_id, community_id, entry_type, amount_micro)
         SELECT id, community_id, type, {turned} FROM credit_lots, unnest('{{debit, credit_back}}'::text[]) AS type;
         UPDATE lot_totals SET debit_micro = {turned}, credit_back_micro = {turned};
         SET session_replication_role = origin"
    );
    town.ground.database.execute(&worn).await;
    ask.post("reservations", json!({ "reservationId": "r", "amountMicro": 600 })).await.good();
    let beyond = (409, "LIMIT_EXCEEDED");
    let debit = json!({ "key": "d", "amountMicro": 401 });
    let refused = ask.post("debits", debit.clone()).await;
    assert_eq!((refused.refusal(), &refused.body["limitMicro"]), (beyond, &json!(TOTAL_MAX_MICRO)));
    assert_eq!(ask.post("debits/batch", json!({ "debits": [debit] })).await.refusal(), beyond);
    let held = json!({ "reservationId": "s", "amountMicro": 401 });
    assert_eq!(ask.post("reservations", held).await.refusal(), beyond);
    // A use that cost more than is left to debit is refused, and can be charged without the overrun.
    let usage = |mode: &str| json!({ "finalizationId": "f", "costMicro": 1_001, "mode": mode, "nftId": "n", "poolId": "p" });
    assert_eq!(ask.post("reservations/r/finalize", usage("soft")).await.refusal(), beyond);
    ask.post("debits", json!({ "key": "d", "amountMicro": 400 })).await.good();
    ask.post("credit-backs", json!({ "key": "c", "debitKey": "d", "amountMicro": 400 })).await.good();
    ask.post("reservations/r/release", json!({})).await.good();
    assert_eq!(ask.get("balance").await.good()["spendableMicro"], 10_000);
    let app = town.ground.app().await;
    begin_as(&app, A).await;
    assert_eq!(number(&app, "SELECT debited_micro FROM lot_balances").await, TOTAL_MAX_MICRO);
    app.batch_execute("ROLLBACK").await.unwrap();
    town.ground.database.execute(TIME_PASSES).await;
    assert_eq!(town.ledger.sweep(community, 100).await.unwrap()["expiredMicro"], 10_000);
    town.holds().await;
}

async fn a_payment_beyond_the_bound_is_refused_and_nothing_is_kept(deployment: Deployment) {
    let town = Town::new(deployment).await;
    fill(&town).await;
    for (tenant, id) in [(A, "pa"), (B, "pb")] {
        town.of(tenant).post("payments", json!({ "paymentId": id, "amountUsd": "29.99" })).await.good();
    }
    let refused = town.notice("pa", "finished").await;
    assert_eq!(
        (refused.status, &refused.body["reason"]),
        (409, &json!("limit_exceeded")),
        "{}",
        refused.text
    );
    assert_eq!(town.ground.database.value::<i64>("SELECT count(*) FROM webhook_events").await, 0);
    assert_eq!(town.notice("pb", "finished").await.good()["mintedMicro"], 29_990_000);
    assert_eq!(town.notice("pa", "confirming").await.good()["status"], "processed");
    town.holds().await;
}
