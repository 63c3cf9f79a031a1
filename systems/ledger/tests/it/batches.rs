//! Debits in one transaction: each is answered as if it had come alone, and none is in another tenant's way.

use ledger::{Outcome, Reason};
use serde_json::json;
use uuid::Uuid;

use crate::ground::{A, B, Deployment, in_both_deployments_direct_and_pooled};
use crate::town::{BOUND, Town};

in_both_deployments_direct_and_pooled!(
    a_batch_is_answered_as_its_debits_one_after_the_other,
    debits_that_wait_for_each_other_share_a_transaction,
    one_bad_request_spoils_none_of_those_that_it_waits_with,
    a_tenant_that_floods_the_service_delays_no_other,
);

/// Rounds of the property, each with tenants of its own.
const ROUNDS: u64 = 25;

struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// Mostly a few, sometimes more than there is, sometimes none that can be booked.
    fn amount(&mut self) -> i64 {
        match self.below(12) {
            0 => 0,
            1 => -5,
            2 => i64::MAX,
            3 => 400,
            _ => i64::try_from(1 + self.below(60)).unwrap(),
        }
    }
}

/// One of two tenants that are asked the same: its lots in the order of their minting.
struct Twin<'a> {
    town: &'a Town,
    community: Uuid,
    lots: Vec<String>,
}

impl<'a> Twin<'a> {
    fn new(town: &'a Town, round: u64, which: u64) -> Twin<'a> {
        let number = u128::from(round * 2 + which);
        let community = Uuid::from_u128(0xcccc_0000_0000_4000_8000_0000_0000_0000 + number);
        Twin { town, community, lots: Vec::new() }
    }

    async fn mint(&mut self, amount: i64, expires_at: Option<jiff::Timestamp>) {
        let key = format!("lot {}", self.lots.len());
        let minted = self.town.ledger.mint(self.community, &key, "grant", amount, expires_at).await.unwrap();
        self.lots.push(minted.done().unwrap()["lotId"].as_str().unwrap().to_owned());
    }

    /// Ends a lot before its time.
    async fn expire(&self, lot: usize) {
        let app = self.town.ground.app().await;
        crate::ground::begin_as(&app, &self.community.to_string()).await;
        let ended = format!("SELECT app.update_lot_status('{}', 'expired'); COMMIT", self.lots[lot]);
        app.batch_execute(&ended).await.unwrap();
    }

    /// An outcome with lots named by their number, so that both twins' can be compared.
    fn plain(&self, outcome: &Outcome) -> String {
        let mut text = format!("{outcome:?}");
        for (number, lot) in self.lots.iter().enumerate() {
            text = text.replace(lot, &format!("lot {number}"));
        }
        text
    }

    /// What is kept: each lot, its entries, and every answer.
    async fn kept(&self) -> String {
        let sql = format!(
            "SELECT coalesce(string_agg(line, E'\\n' ORDER BY line), '') FROM (
               SELECT concat_ws(' ', lot.id, lot.status, total.remaining_micro, total.has_credit) AS line
               FROM credit_lots AS lot JOIN lot_totals AS total ON total.lot_id = lot.id WHERE lot.community_id = '{0}'
               UNION ALL
               SELECT concat_ws(' ', entry_type, lot_id, amount_micro, reservation_id)
               FROM lot_entries WHERE community_id = '{0}' AND entry_type <> 'credit'
               UNION ALL
               SELECT concat_ws(' ', request_key, request, answer)
               FROM ledger_requests WHERE community_id = '{0}' AND request_key NOT LIKE 'mint:%'
             ) AS lines",
            self.community
        );
        let mut text: String = self.town.ground.database.value(&sql).await;
        for (number, lot) in self.lots.iter().enumerate() {
            text = text.replace(lot, &format!("lot {number}"));
        }
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    }
}

async fn a_batch_is_answered_as_its_debits_one_after_the_other(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..ROUNDS {
        let mut draw = Draw(round + 1);
        let (mut one, mut other) = (Twin::new(&town, round, 0), Twin::new(&town, round, 1));
        for _ in 0..draw.below(6) {
            let amount = i64::try_from(1 + draw.below(200)).unwrap();
            let hours = i64::try_from(draw.below(4)).unwrap();
            let until =
                (hours > 0).then(|| jiff::Timestamp::from_second(4_000_000_000 + hours * 3_600).unwrap());
            one.mint(amount, until).await;
            other.mint(amount, until).await;
        }
        if one.lots.len() > 2 && draw.below(2) == 0 {
            one.expire(1).await;
            other.expire(1).await;
        }
        for _ in 0..4 {
            // Few keys, so that one comes again in the same batch and in later ones, with the same amount and another.
            let debits: Vec<(String, i64)> = (0..1 + draw.below(30))
                .map(|_| {
                    let key = draw.below(40);
                    let amount =
                        if draw.below(3) == 0 { i64::try_from(key).unwrap() + 1 } else { draw.amount() };
                    (format!("k{key}"), amount)
                })
                .collect();
            let asked: Vec<(&str, i64)> =
                debits.iter().map(|(key, amount)| (key.as_str(), *amount)).collect();
            let together = town.ledger.debit_many(one.community, &asked).await.unwrap();
            for ((key, amount), batched) in asked.iter().zip(&together) {
                let single = town.ledger.debit_alone(other.community, key, *amount).await.unwrap();
                assert_eq!(
                    one.plain(batched),
                    other.plain(&single),
                    "round {round}: {key} {amount} of {asked:?}"
                );
                seen.insert(batched.reason().map_or("DONE", Reason::as_str));
            }
            assert_eq!(one.kept().await, other.kept().await, "round {round}: {asked:?}");
            if draw.below(6) == 0 {
                for twin in [&one, &other] {
                    town.ledger.conserve(twin.community, 9_000_000, 9_000_000).await.unwrap();
                }
            }
        }
    }
    let all = ["BUDGET_EXCEEDED", "CIRCUIT_OPEN", "DONE", "IDEMPOTENCY_CONFLICT", "INVALID_AMOUNT"];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all, "every answer was among them");
    town.holds().await;
}

/// Keeps a tenant's lock until it is dropped.
async fn lock(town: &Town, tenant: &str) -> tokio_postgres::Client {
    let holder = town.ground.app().await;
    holder.batch_execute(&format!("BEGIN; SELECT app.enter_tenant('{tenant}')")).await.unwrap();
    holder
}

/// Waits until so many sessions of the application wait for a lock.
async fn until_waiting(town: &Town, sessions: i64) {
    let sql = "SELECT count(*) FROM pg_stat_activity
               WHERE datname = current_database() AND usename = 'arrakis_app' AND wait_event_type = 'Lock'";
    testkit::eventually("sessions wait for the lock", BOUND, async || {
        (town.ground.database.value::<i64>(sql).await >= sessions).then_some(())
    })
    .await
    .unwrap();
}

async fn debits_that_wait_for_each_other_share_a_transaction(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let community: Uuid = A.parse().unwrap();
    town.ledger.mint(community, "l", "grant", 1_000, None).await.unwrap();
    let holder = lock(&town, A).await;
    let first = tokio::spawn({
        let ledger = town.ledger.clone();
        async move { ledger.debit(community, "first", 1).await.unwrap() }
    });
    until_waiting(&town, 1).await;
    let mut behind = Vec::new();
    for number in 0..60 {
        let ledger = town.ledger.clone();
        behind
            .push(Box::pin(async move { ledger.debit(community, &format!("b{number}"), 20).await.unwrap() }));
    }
    // All of them stand in line before the first one is done.
    let mut behind = futures_util::future::join_all(behind);
    assert!(futures_util::poll!(&mut behind).is_pending());
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert!(first.await.unwrap().done().is_some());
    let outcomes = behind.await;
    let done = outcomes.iter().filter(|outcome| outcome.reason().is_none()).count();
    assert_eq!(done, 49, "999 are left, and each takes 20");
    assert!(outcomes.iter().all(|outcome| matches!(outcome.reason(), None | Some(Reason::BudgetExceeded))));
    let sql = "SELECT count(DISTINCT xmin::text) FROM ledger_requests WHERE request_key LIKE 'debit:b%'";
    assert_eq!(town.ground.database.value::<i64>(sql).await, 1);
    town.holds().await;
}

async fn one_bad_request_spoils_none_of_those_that_it_waits_with(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let community: Uuid = A.parse().unwrap();
    town.ledger.mint(community, "l", "grant", 1_000, None).await.unwrap();
    let holder = lock(&town, A).await;
    let first = tokio::spawn({
        let ledger = town.ledger.clone();
        async move { ledger.debit(community, "first", 1).await.unwrap() }
    });
    until_waiting(&town, 1).await;
    let keys = ["a".to_owned(), "k".repeat(300), "b\0".to_owned(), "c".to_owned()];
    let behind = keys.map(|key| {
        let ledger = town.ledger.clone();
        Box::pin(async move { ledger.debit(community, &key, 1).await })
    });
    let mut behind = futures_util::future::join_all(behind);
    assert!(futures_util::poll!(&mut behind).is_pending());
    holder.batch_execute("ROLLBACK").await.unwrap();
    first.await.unwrap();
    let outcomes = behind.await;
    let good: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, false, true], "{outcomes:?}");
    assert_eq!(town.ledger.balance(community).await.unwrap()["spendableMicro"], 997);
    town.holds().await;
}

async fn a_tenant_that_floods_the_service_delays_no_other(deployment: Deployment) {
    const FLOOD: usize = 60;
    let town = Town::new(deployment).await;
    let (a, b) = (town.of(A), town.of(B));
    for ask in [&a, &b] {
        ask.post("lots", json!({ "key": "l", "source": "grant", "amountMicro": 100_000 })).await.good();
    }
    // Tenant A's lock is held, so that all that it asks for waits: six times as much as there are sessions.
    let holder = lock(&town, A).await;
    let mut flood = Vec::new();
    for number in 0..FLOOD {
        let asker = a.clone();
        let (path, body) = match number % 3 {
            0 => ("debits", json!({ "key": format!("d{number}"), "amountMicro": 1 })),
            1 => ("reservations", json!({ "reservationId": format!("r{number}"), "amountMicro": 1 })),
            _ => ("lots", json!({ "key": format!("l{number}"), "source": "grant", "amountMicro": 1 })),
        };
        flood.push(tokio::spawn(async move { asker.post(path, body).await }));
    }
    until_waiting(&town, 2).await;
    for number in 0..20 {
        b.post("debits", json!({ "key": format!("d{number}"), "amountMicro": 1 })).await.good();
        let reservation = json!({ "reservationId": format!("r{number}"), "amountMicro": 1 });
        b.post("reservations", reservation).await.good();
        b.get("balance").await.good();
    }
    assert!(flood.iter().all(|one| !one.is_finished()), "tenant A still waits for its own lock");
    holder.batch_execute("ROLLBACK").await.unwrap();
    let mut reasons = Vec::new();
    for one in flood {
        let answer = one.await.unwrap();
        if answer.status != 200 {
            reasons.push(answer.body["reason"].clone());
        }
    }
    assert!(reasons.iter().all(|reason| reason.as_str() == Some("BUSY")), "{reasons:?}");
    town.holds().await;
}
