//! Recomputing everything that must hold, where there is much of it, and where it does not hold.

use std::collections::BTreeSet;

use serde_json::json;

use crate::ground::{A, B, Deployment, become_tenant, begin_as};
use crate::town::Town;

/// Reservations of one tenant, with their entries: enough that looking at all entries for each would take minutes.
const FILLED: &str = "
    SET session_replication_role = replica;
    INSERT INTO reservations (community_id, reservation_id, amount_micro, lots, status, expires_at, cost_micro,
                              charged_micro, overrun_micro, uncovered_micro, resolved_at)
    SELECT community_id, 'r' || number, 5, '[]', 'finalized', now(), 3, 3, 0, 0, now()
    FROM credit_lots, generate_series(1, 30000) AS number;
    INSERT INTO lot_entries (lot_id, community_id, entry_type, amount_micro, reservation_id)
    SELECT id, community_id, 'debit', 5, 'reserve:r' || number FROM credit_lots, generate_series(1, 30000) AS number;
    INSERT INTO lot_entries (lot_id, community_id, entry_type, amount_micro, reference_id)
    SELECT id, community_id, 'credit_back', 2, 'reserve:r' || number FROM credit_lots, generate_series(1, 30000) AS number;
    INSERT INTO usage_events (event_id, community_id, nft_id, pool_id, amount_micro, reservation_id, finalization_id, tenant_seq)
    SELECT gen_random_uuid(), community_id, 'n', 'p', 3, 'r' || number, community_id || ':r' || number, number
    FROM credit_lots, generate_series(1, 30000) AS number;
    INSERT INTO ledger_requests (community_id, request_key, request, answer)
    SELECT community_id, 'finalize:' || reservation_id, jsonb_build_object('reservation', reservation_id, 'costMicro', 3),
           jsonb_build_object('status', 'finalized', 'eventId', event_id, 'seq', tenant_seq, 'costMicro', 3, 'chargedMicro', 3,
                              'overrunMicro', 0, 'uncoveredMicro', 0)
    FROM usage_events;
    UPDATE lot_totals SET debit_micro = 150000, credit_back_micro = 60000;
    SET session_replication_role = origin";

#[tokio::test]
async fn tens_of_thousands_of_reservations_of_one_tenant_are_verified_in_one_look() {
    let town = Town::new(Deployment::Own).await;
    town.ledger.mint(A.parse().unwrap(), "l", "grant", 1_000_000, None).await.unwrap();
    town.ground.database.execute(FILLED).await;
    let began = std::time::Instant::now();
    town.holds().await;
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    // One that kept more than it charged is found among them.
    let planted = "SET session_replication_role = replica;
                   UPDATE reservations SET charged_micro = 2 WHERE reservation_id = 'r777';
                   SET session_replication_role = origin";
    town.ground.database.execute(planted).await;
    let verified = town.ledger.verify().await.unwrap();
    let broken: Vec<_> = verified.iter().filter(|one| !one.violations.is_empty()).collect();
    let names: Vec<_> = broken.iter().map(|one| (one.invariant, one.violations.len())).collect();
    assert_eq!(names, [("reservations_add_up", 1), ("usage_is_what_was_charged", 1)], "{broken:?}");
    assert!(broken.iter().all(|one| one.violations[0].contains("\"r777\"")), "{broken:?}");
}

/// What somebody with all rights did behind the triggers, how it is undone, and which invariants see it. `LOT` is A's
/// lot, of which was debited and credited back; `FRESH` another one, of which nothing was.
const BREAKAGES: [(&str, &str, &[&str]); 38] = [
    (
        "UPDATE lot_entries SET amount_micro = amount_micro - 1 WHERE lot_id = 'FRESH';
         UPDATE lot_totals SET credit_micro = credit_micro - 1 WHERE lot_id = 'FRESH'",
        "UPDATE lot_entries SET amount_micro = amount_micro + 1 WHERE lot_id = 'FRESH';
         UPDATE lot_totals SET credit_micro = credit_micro + 1 WHERE lot_id = 'FRESH'",
        &["lots_are_credited_once"],
    ),
    (
        "INSERT INTO credit_lots (id, community_id, source, amount_micro) VALUES ('OTHER', 'TENANT', 'seed', 5);
         INSERT INTO lot_totals (lot_id, community_id, amount_micro, spend_by, minted_at)
         SELECT id, community_id, 5, 'infinity', created_at FROM credit_lots WHERE id = 'OTHER'",
        "DELETE FROM lot_totals WHERE lot_id = 'OTHER'; DELETE FROM credit_lots WHERE id = 'OTHER'",
        &["lots_are_credited_once"],
    ),
    (
        "INSERT INTO lot_entries (id, lot_id, community_id, entry_type, amount_micro) VALUES ('OTHER', 'FRESH', 'TENANT', 'expiry', 501)",
        "DELETE FROM lot_entries WHERE id = 'OTHER'",
        &["nothing_is_overdrawn", "totals_are_the_journals"],
    ),
    (
        "INSERT INTO lot_entries (id, lot_id, community_id, entry_type, amount_micro) VALUES ('OTHER', 'FRESH', 'TENANT', 'credit_back', 1)",
        "DELETE FROM lot_entries WHERE id = 'OTHER'",
        &["nothing_is_overdrawn", "only_what_was_debited_came_back", "totals_are_the_journals"],
    ),
    (
        "INSERT INTO lot_entries (lot_id, community_id, entry_type, amount_micro, reference_id)
         SELECT 'FRESH', 'TENANT', type, 5, 'broken' FROM unnest('{expiry, credit_back}'::text[]) AS type",
        "DELETE FROM lot_entries WHERE reference_id = 'broken'",
        &["only_what_was_debited_came_back"],
    ),
    (
        "UPDATE lot_totals SET spend_by = '2030-01-01' WHERE lot_id = 'FRESH'",
        "UPDATE lot_totals SET spend_by = 'infinity' WHERE lot_id = 'FRESH'",
        &["totals_are_the_journals"],
    ),
    (
        "UPDATE lot_totals SET minted_at = minted_at + interval '1 second' WHERE lot_id = 'FRESH'",
        "UPDATE lot_totals SET minted_at = minted_at - interval '1 second' WHERE lot_id = 'FRESH'",
        &["totals_are_the_journals"],
    ),
    (
        "UPDATE lot_totals SET debit_micro = debit_micro + 1, credit_back_micro = credit_back_micro + 1 WHERE lot_id = 'FRESH'",
        "UPDATE lot_totals SET debit_micro = debit_micro - 1, credit_back_micro = credit_back_micro - 1 WHERE lot_id = 'FRESH'",
        &["totals_are_the_journals"],
    ),
    (
        "UPDATE lot_totals SET expiry_micro = expiry_micro + 1 WHERE lot_id = 'FRESH'",
        "UPDATE lot_totals SET expiry_micro = expiry_micro - 1 WHERE lot_id = 'FRESH'",
        &["totals_are_the_journals"],
    ),
    (
        "UPDATE credit_lots SET status = 'expired' WHERE id = 'FRESH'",
        "UPDATE credit_lots SET status = 'active' WHERE id = 'FRESH'",
        &["totals_are_the_journals"],
    ),
    (
        "UPDATE lot_entries SET community_id = 'ANOTHER' WHERE lot_id = 'FRESH'",
        "UPDATE lot_entries SET community_id = 'TENANT' WHERE lot_id = 'FRESH'",
        &["entries_are_of_their_lots_tenant"],
    ),
    (
        "UPDATE reservations SET charged_micro = charged_micro + 1 WHERE reservation_id = 'used' AND community_id = 'TENANT'",
        "UPDATE reservations SET charged_micro = charged_micro - 1 WHERE reservation_id = 'used' AND community_id = 'TENANT'",
        &["reservations_add_up", "usage_is_what_was_charged"],
    ),
    (
        "UPDATE reservations SET amount_micro = amount_micro + 1 WHERE reservation_id = 'held'",
        "UPDATE reservations SET amount_micro = amount_micro - 1 WHERE reservation_id = 'held'",
        &["reservations_add_up"],
    ),
    (
        "UPDATE reservations SET amount_micro = amount_micro + 1 WHERE reservation_id = 'used' AND community_id = 'TENANT'",
        "UPDATE reservations SET amount_micro = amount_micro - 1 WHERE reservation_id = 'used' AND community_id = 'TENANT'",
        &["reservations_add_up"],
    ),
    (
        "UPDATE reservations SET status = 'released' WHERE reservation_id = 'held'",
        "UPDATE reservations SET status = 'pending' WHERE reservation_id = 'held'",
        &["reservations_add_up"],
    ),
    (
        "INSERT INTO reservations (community_id, reservation_id, amount_micro, lots, expires_at) VALUES ('TENANT', 'never', 5, '[]', now())",
        "DELETE FROM reservations WHERE reservation_id = 'never'",
        &["reservations_add_up"],
    ),
    (
        "UPDATE lot_entries SET reservation_id = 'overrun:gone' WHERE reservation_id = 'overrun:over'",
        "UPDATE lot_entries SET reservation_id = 'overrun:over' WHERE reservation_id = 'overrun:gone'",
        &["reservations_add_up", "entries_name_their_reservations"],
    ),
    (
        "UPDATE lot_entries SET reference_id = 'reserve:gone' WHERE reference_id = 'reserve:used' AND community_id = 'TENANT'",
        "UPDATE lot_entries SET reference_id = 'reserve:used' WHERE reference_id = 'reserve:gone' AND community_id = 'TENANT'",
        &["reservations_add_up", "entries_name_their_reservations"],
    ),
    (
        "UPDATE usage_events SET amount_micro = amount_micro + 1 WHERE reservation_id = 'over'",
        "UPDATE usage_events SET amount_micro = amount_micro - 1 WHERE reservation_id = 'over'",
        &["usage_is_what_was_charged", "answers_are_the_journals"],
    ),
    (
        "UPDATE usage_events SET tenant_seq = NULL WHERE community_id = 'TENANT' AND tenant_seq = 3",
        "UPDATE usage_events SET tenant_seq = 3 WHERE community_id = 'TENANT' AND tenant_seq IS NULL",
        &["usage_is_what_was_charged", "answers_are_the_journals"],
    ),
    (
        "UPDATE usage_events SET tenant_seq = 9 WHERE community_id = 'TENANT' AND tenant_seq = 2",
        "UPDATE usage_events SET tenant_seq = 2 WHERE community_id = 'TENANT' AND tenant_seq = 9",
        &["usage_numbers_have_no_gaps", "answers_are_the_journals"],
    ),
    (
        "UPDATE crypto_payments SET status = 'waiting' WHERE payment_id = 'p1'",
        "UPDATE crypto_payments SET status = 'finished' WHERE payment_id = 'p1'",
        &["payments_mint_once"],
    ),
    (
        "UPDATE crypto_payments SET amount_usd = amount_usd + 1 WHERE payment_id = 'p1'",
        "UPDATE crypto_payments SET amount_usd = amount_usd - 1 WHERE payment_id = 'p1'",
        &["payments_mint_once"],
    ),
    (
        "UPDATE credit_lots SET payment_id = 'p2' WHERE payment_id = 'p1'",
        "UPDATE credit_lots SET payment_id = 'p1' WHERE payment_id = 'p2'",
        &["payments_mint_once"],
    ),
    (
        "INSERT INTO lot_entries (lot_id, community_id, entry_type, amount_micro, reservation_id) VALUES ('FRESH', 'TENANT', 'debit', 5, 'reserve:nobodys');
         UPDATE lot_totals SET debit_micro = debit_micro + 5 WHERE lot_id = 'FRESH'",
        "DELETE FROM lot_entries WHERE reservation_id = 'reserve:nobodys';
         UPDATE lot_totals SET debit_micro = debit_micro - 5 WHERE lot_id = 'FRESH'",
        &["entries_name_their_reservations"],
    ),
    (
        "INSERT INTO lot_entries (lot_id, community_id, entry_type, amount_micro, reference_id) VALUES ('FRESH', 'TENANT', 'expiry', 5, 'reserve:nobodys');
         UPDATE lot_totals SET expiry_micro = expiry_micro + 5 WHERE lot_id = 'FRESH'",
        "DELETE FROM lot_entries WHERE reference_id = 'reserve:nobodys';
         UPDATE lot_totals SET expiry_micro = expiry_micro - 5 WHERE lot_id = 'FRESH'",
        &["entries_name_their_reservations"],
    ),
    (
        "UPDATE ledger_requests SET answer = jsonb_set(answer, '{lots,0,micro}', '99') WHERE request_key = 'debit:d'",
        "UPDATE ledger_requests SET answer = jsonb_set(answer, '{lots,0,micro}', '100') WHERE request_key = 'debit:d'",
        &["answers_are_the_journals"],
    ),
    (
        "UPDATE ledger_requests SET answer = jsonb_set(answer, '{amountMicro}', '101') WHERE request_key = 'debit:d'",
        "UPDATE ledger_requests SET answer = jsonb_set(answer, '{amountMicro}', '100') WHERE request_key = 'debit:d'",
        &["answers_are_the_journals"],
    ),
    (
        "UPDATE ledger_requests SET request = jsonb_set(request, '{amountMicro}', '101') WHERE request_key = 'debit:d'",
        "UPDATE ledger_requests SET request = jsonb_set(request, '{amountMicro}', '100') WHERE request_key = 'debit:d'",
        &["answers_are_the_journals"],
    ),
    (
        "UPDATE ledger_requests SET answer = answer || '{\"reason\": \"BUDGET_EXCEEDED\"}' WHERE request_key = 'debit:d'",
        "UPDATE ledger_requests SET answer = answer - 'reason' WHERE request_key = 'debit:d'",
        &["answers_are_the_journals"],
    ),
    (
        "UPDATE ledger_requests SET request_key = 'debit:gone' WHERE request_key = 'debit:d'",
        "UPDATE ledger_requests SET request_key = 'debit:d' WHERE request_key = 'debit:gone'",
        &["answers_are_the_journals"],
    ),
    (
        "UPDATE lot_entries SET lot_id = 'FRESH' WHERE reservation_id = 'debit:e';
         UPDATE lot_totals SET debit_micro = debit_micro + 9 WHERE lot_id = 'FRESH';
         UPDATE lot_totals SET debit_micro = debit_micro - 9 WHERE lot_id = 'LOT'",
        "UPDATE lot_entries SET lot_id = 'LOT' WHERE reservation_id = 'debit:e';
         UPDATE lot_totals SET debit_micro = debit_micro - 9 WHERE lot_id = 'FRESH';
         UPDATE lot_totals SET debit_micro = debit_micro + 9 WHERE lot_id = 'LOT'",
        &["answers_are_the_journals"],
    ),
    (
        "UPDATE ledger_requests SET answer = jsonb_set(answer, '{amountMicro}', '31') WHERE request_key = 'credit_back:c'",
        "UPDATE ledger_requests SET answer = jsonb_set(answer, '{amountMicro}', '30') WHERE request_key = 'credit_back:c'",
        &["answers_are_the_journals"],
    ),
    (
        "UPDATE ledger_requests SET request = jsonb_set(request, '{debit}', '\"e\"') WHERE request_key = 'credit_back:c'",
        "UPDATE ledger_requests SET request = jsonb_set(request, '{debit}', '\"d\"') WHERE request_key = 'credit_back:c'",
        &["answers_are_the_journals"],
    ),
    (
        "UPDATE ledger_requests SET answer = jsonb_set(answer, '{lotId}', '\"OTHER\"') WHERE request_key = 'mint:fresh'",
        "UPDATE ledger_requests SET answer = jsonb_set(answer, '{lotId}', to_jsonb('FRESH'::text)) WHERE request_key = 'mint:fresh'",
        &["answers_are_the_journals"],
    ),
    (
        "UPDATE credit_lots SET source = 'seed' WHERE id = 'FRESH'",
        "UPDATE credit_lots SET source = 'grant' WHERE id = 'FRESH'",
        &["answers_are_the_journals"],
    ),
    (
        "UPDATE ledger_requests SET answer = jsonb_set(answer, '{chargedMicro}', '8') WHERE request_key = 'finalize:used' AND community_id = 'TENANT'",
        "UPDATE ledger_requests SET answer = jsonb_set(answer, '{chargedMicro}', '7') WHERE request_key = 'finalize:used' AND community_id = 'TENANT'",
        &["answers_are_the_journals"],
    ),
    (
        "UPDATE reservations SET uncovered_micro = uncovered_micro + 1 WHERE reservation_id = 'over' AND community_id = 'TENANT'",
        "UPDATE reservations SET uncovered_micro = uncovered_micro - 1 WHERE reservation_id = 'over' AND community_id = 'TENANT'",
        &["answers_are_the_journals"],
    ),
];

#[tokio::test]
async fn whatever_does_not_hold_is_seen_by_the_invariant_that_says_so_and_by_no_other() {
    let town = Town::new(Deployment::Own).await;
    let (a, b) = (town.of(A), town.of(B));
    for (ask, amount) in [(&a, 1_000), (&b, 2_000)] {
        ask.post("lots", json!({ "key": "l", "source": "grant", "amountMicro": amount })).await.good();
        // Both use the same words, for other amounts.
        for (id, held, cost) in
            [("used", amount / 10, 7), ("over", 5, 30), ("third", 5, 5), ("held", amount / 20, 0)]
        {
            ask.post("reservations", json!({ "reservationId": id, "amountMicro": held })).await.good();
            let cost = json!({ "finalizationId": id, "costMicro": cost, "mode": "soft", "nftId": "n", "poolId": "p" });
            if id != "held" {
                ask.post(&format!("reservations/{id}/finalize"), cost).await.good();
            }
        }
    }
    a.post("debits", json!({ "key": "d", "amountMicro": 100 })).await.good();
    let small = a.post("debits", json!({ "key": "e", "amountMicro": 9 })).await.good();
    a.post("credit-backs", json!({ "key": "c", "debitKey": "d", "amountMicro": 30 })).await.good();
    let fresh = a.post("lots", json!({ "key": "fresh", "source": "grant", "amountMicro": 500 })).await.good();
    let app = town.ground.app().await;
    begin_as(&app, A).await;
    app.batch_execute(&format!(
        "INSERT INTO credit_lots (community_id, source, payment_id, amount_micro) VALUES ('{A}', 'purchase', 'p1', 5000000);
         INSERT INTO lot_entries (lot_id, community_id, entry_type, amount_micro)
         SELECT id, community_id, 'credit', amount_micro FROM credit_lots WHERE payment_id = 'p1';
         INSERT INTO crypto_payments (community_id, payment_id, amount_usd, status) VALUES ('{A}', 'p1', 5, 'finished')"
    ))
    .await
    .unwrap();
    become_tenant(&app, B).await;
    let waiting = format!(
        "INSERT INTO crypto_payments (community_id, payment_id, amount_usd) VALUES ('{B}', 'p3', 5); COMMIT"
    );
    app.batch_execute(&waiting).await.unwrap();
    town.holds().await;
    let words = |sql: &str| {
        sql.replace("'FRESH'", &format!("'{}'", fresh["lotId"].as_str().unwrap()))
            .replace("'LOT'", &format!("'{}'", small["lots"][0]["lot"].as_str().unwrap()))
            .replace("'OTHER'", "'dddddddd-0000-4000-8000-00000000000d'")
            .replace("'TENANT'", &format!("'{A}'"))
            .replace("'ANOTHER'", &format!("'{B}'"))
    };
    let behind = async |sql: &str| {
        let sql = format!(
            "SET session_replication_role = replica; {}; SET session_replication_role = origin",
            words(sql)
        );
        town.ground.database.execute(&sql).await;
    };
    let mut seen = BTreeSet::new();
    for (breakage, undo, invariants) in BREAKAGES {
        behind(breakage).await;
        let verified = town.ledger.verify().await.unwrap();
        let broken: Vec<_> = verified.iter().filter(|one| !one.violations.is_empty()).collect();
        let names: Vec<_> = broken.iter().map(|one| one.invariant).collect();
        assert_eq!(names, invariants, "{breakage}: {broken:?}");
        seen.extend(names);
        behind(undo).await;
    }
    town.holds().await;
    assert_eq!(seen.len(), 11, "every invariant was broken once: {seen:?}");
}
