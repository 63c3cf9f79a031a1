//! The provider, played over HTTP, is asked about payments of which no notice came.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ledger::provider::{Provider, SILENT_MAX};
use serde_json::json;

use crate::ground::{A, Deployment, in_both_deployments_direct_and_pooled};
use crate::town::{Answered, BOUND, Town};

in_both_deployments_direct_and_pooled!(
    what_the_provider_says_is_taken_and_what_it_garbles_is_told,
    a_provider_that_is_down_is_left_alone_until_the_next_sweep,
    a_sweep_and_a_notice_at_the_same_moment_mint_once,
    a_sweep_that_hears_of_the_end_and_a_notice_of_the_refund_come_one_after_the_other,
);

/// What the provider does when it is asked about a payment.
#[derive(Debug, Clone)]
enum Says {
    /// A status and a price.
    Status(&'static str, &'static str),
    /// Another payment than was asked about.
    Another,
    /// These bytes, with this status code.
    Bytes(u16, &'static str),
    /// Nothing, ever.
    Nothing,
}

/// The provider, as it is played.
#[derive(Clone, Default)]
struct Played {
    says: Arc<Mutex<BTreeMap<String, Says>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Played {
    async fn serve(&self) -> Provider {
        let router = Router::new().route("/v1/payment/{id}", get(answer)).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        Provider { url, api_key: "a key".to_owned(), wait: Duration::from_millis(700) }
    }

    fn let_say(&self, payment: &str, says: Says) {
        self.says.lock().unwrap().insert(payment.to_owned(), says);
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

async fn answer(State(played): State<Played>, Path(id): Path<String>) -> Response {
    played.asked.lock().unwrap().push(id.clone());
    let says = played.says.lock().unwrap().get(&id).cloned();
    match says {
        None => (StatusCode::NOT_FOUND, "{}").into_response(),
        Some(Says::Status(status, price)) => {
            json!({ "payment_id": id, "payment_status": status, "price_amount": price })
                .to_string()
                .into_response()
        }
        Some(Says::Another) => {
            json!({ "payment_id": "another", "payment_status": "finished" }).to_string().into_response()
        }
        Some(Says::Bytes(status, bytes)) => (StatusCode::from_u16(status).unwrap(), bytes).into_response(),
        Some(Says::Nothing) => std::future::pending().await,
    }
}

async fn payments(town: &Town, ids: &[&str]) {
    for id in ids {
        town.of(A).post("payments", json!({ "paymentId": id, "amountUsd": "29.99" })).await.good();
    }
}

/// Each payment with its status and how many lots it minted.
async fn kept(town: &Town) -> String {
    let sql = "SELECT string_agg(concat_ws(' ', payment_id, status,
                 (SELECT count(*) FROM credit_lots AS lot WHERE lot.payment_id = payment.payment_id)), ', '
                 ORDER BY payment_id COLLATE \"C\")
               FROM crypto_payments AS payment";
    town.ground.database.value(sql).await
}

async fn what_the_provider_says_is_taken_and_what_it_garbles_is_told(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let played = Played::default();
    let provider = played.serve().await;
    let ids = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "a/../?b#c d", ".."];
    payments(&town, &ids).await;
    for (id, says) in [
        ("1", Says::Status("finished", "29.99")),
        ("2", Says::Status("waiting", "29.99")),
        ("3", Says::Status("confirming", "29.990")),
        ("4", Says::Status("paid", "29.99")),
        ("5", Says::Bytes(200, "<html>")),
        ("6", Says::Another),
        ("7", Says::Status("finished", "2999")),
        ("8", Says::Nothing),
        ("a/../?b#c d", Says::Status("finished", "29.99")),
        ("..", Says::Status("failed", "29.99")),
    ] {
        played.let_say(id, says);
    }
    // A payment that was heard of is not asked about.
    assert_eq!(town.ledger.sweep_payments(&provider, 600, 100).await.unwrap(), Default::default());
    assert_eq!(played.asked(), Vec::<String>::new());

    let swept = town.ledger.sweep_payments(&provider, 0, 100).await.unwrap();
    assert_eq!((swept.moved, swept.unchanged, swept.left), (4, 1, 0), "{swept:?}");
    assert_eq!(played.asked(), ids, "each once, by its own name");
    let why = |id: &str| {
        let told = swept.failed.iter().find_map(|one| one.strip_prefix(&format!("{id}: ")));
        told.unwrap_or_else(|| panic!("nothing of {id} in {:?}", swept.failed)).to_owned()
    };
    assert_eq!(swept.failed.len(), 6);
    assert!(why("4").contains("no payment and status"));
    assert!(why("5").contains("no payment and status"));
    assert!(why("6").contains("about \"another\""));
    assert!(why("7").contains("price is not 29.99"));
    assert!(why("8").contains("127.0.0.1"), "{}", why("8"));
    assert!(why("9").contains("no such payment"));
    let after = ".. failed 0, 1 finished 1, 2 waiting 0, 3 confirming 0, 4 waiting 0, 5 waiting 0, 6 waiting 0, \
                 7 waiting 0, 8 waiting 0, 9 waiting 0, a/../?b#c d finished 1";
    assert_eq!(kept(&town).await, after);
    // Again: what is over is not asked about, and nothing moves.
    let again = town.ledger.sweep_payments(&provider, 0, 100).await.unwrap();
    assert_eq!((again.moved, again.unchanged, again.failed.len()), (0, 2, 6), "{again:?}");
    assert_eq!(kept(&town).await, after);
    town.holds().await;
}

async fn a_provider_that_is_down_is_left_alone_until_the_next_sweep(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let played = Played::default();
    let provider = played.serve().await;
    let ids: Vec<String> = (0..12).map(|number| format!("p{number:02}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    payments(&town, &ids).await;
    for down in [Says::Bytes(503, "maintenance"), Says::Bytes(429, "too many"), Says::Nothing] {
        for id in &ids {
            played.let_say(id, down.clone());
        }
        let swept = town.ledger.sweep_payments(&provider, 0, 100).await.unwrap();
        assert_eq!(
            (swept.moved, swept.failed.len(), swept.left),
            (0, SILENT_MAX, 12 - SILENT_MAX),
            "{down:?}"
        );
        assert_eq!(played.asked().len(), SILENT_MAX, "{down:?}");
    }
    // Nobody listens at all.
    let nobody = Provider { url: "http://127.0.0.1:1".to_owned(), ..provider.clone() };
    let swept = town.ledger.sweep_payments(&nobody, 0, 100).await.unwrap();
    assert_eq!((swept.failed.len(), swept.left), (SILENT_MAX, 12 - SILENT_MAX));
    // One that answers now and then is asked about all.
    for (number, id) in ids.iter().enumerate() {
        let says =
            if number % SILENT_MAX == 0 { Says::Status("finished", "29.99") } else { Says::Bytes(500, "") };
        played.let_say(id, says);
    }
    let swept = town.ledger.sweep_payments(&provider, 0, 100).await.unwrap();
    assert_eq!((swept.moved, swept.failed.len(), swept.left), (3, 9, 0), "{swept:?}");
    for id in &ids {
        played.let_say(id, Says::Status("finished", "29.99"));
    }
    let swept = town.ledger.sweep_payments(&provider, 0, 100).await.unwrap();
    assert_eq!((swept.moved, swept.failed.len()), (9, 0), "{swept:?}");
    town.holds().await;
}

/// Sessions of the system that wait for a tenant's lock, for another's notice, or for a row.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = 'arrakis_admin' AND wait_event_type = 'Lock'";

/// Notices of one status about some payments, all at once.
async fn deliver(town: &Town, ids: &[&str], status: &str) -> Vec<Answered> {
    futures_util::future::join_all(ids.iter().map(|id| town.notice(id, status))).await
}

/// Does something while the tenant's lock is held, until somebody waits for it, and all others behind; then lets go.
async fn crowded<T>(town: &Town, work: impl Future<Output = T>) -> T {
    let holder = town.ground.app().await;
    holder.batch_execute(&format!("BEGIN; SELECT app.enter_tenant('{A}')")).await.unwrap();
    let let_go = async {
        testkit::eventually("the first of them waits", BOUND, async || {
            (town.ground.database.value::<i64>(WAITING).await > 0).then_some(())
        })
        .await
        .unwrap();
        holder.batch_execute("ROLLBACK").await.unwrap();
    };
    tokio::join!(work, let_go).0
}

async fn a_sweep_and_a_notice_at_the_same_moment_mint_once(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let played = Played::default();
    let provider = played.serve().await;
    let ids: Vec<String> = (0..10).map(|number| format!("p{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    payments(&town, &ids).await;
    for id in &ids {
        played.let_say(id, Says::Status("finished", "29.99"));
    }
    // Two sweeps stand at the first payment; beside them notices of two, each delivered twice.
    let sweeps = (0..2).map(|_| town.ledger.sweep_payments(&provider, 0, 100));
    let twice = ["p0", "p1", "p0", "p1"];
    let both =
        async { tokio::join!(futures_util::future::join_all(sweeps), deliver(&town, &twice, "finished")) };
    let (swept, noticed) = crowded(&town, both).await;
    let swept: Vec<_> = swept.into_iter().map(Result::unwrap).collect();
    // Whoever comes second learns so: nobody fails, and nobody is told of an error.
    assert!(swept.iter().all(|one| one.failed.is_empty() && one.left == 0), "{swept:?}");
    let minted = |answer: &&Answered| answer.body["mintedMicro"] == 29_990_000;
    let (by_notices, behind): (Vec<_>, Vec<_>) = noticed.iter().partition(minted);
    assert!(
        behind.len() >= 2
            && behind.iter().all(|one| (one.status, &one.body["status"]) == (200, &json!("duplicate"))),
        "{behind:?}"
    );
    let by_sweeps: usize = swept.iter().map(|one| one.moved).sum();
    assert_eq!(by_sweeps + by_notices.len(), ids.len(), "each by one of them: {swept:?} {noticed:?}");
    let all: Vec<String> = ids.iter().map(|id| format!("{id} finished 1")).collect();
    assert_eq!(kept(&town).await, all.join(", "));
    town.holds().await;
}

async fn a_sweep_that_hears_of_the_end_and_a_notice_of_the_refund_come_one_after_the_other(
    deployment: Deployment,
) {
    let town = Town::new(deployment).await;
    let played = Played::default();
    let provider = played.serve().await;
    for round in 0..6 {
        let id = format!("p{round}");
        payments(&town, &[&id]).await;
        played.let_say(&id, Says::Status("finished", "29.99"));
        let ids = [id.as_str()];
        let both = async {
            tokio::join!(town.ledger.sweep_payments(&provider, 0, 100), deliver(&town, &ids, "refunded"))
        };
        let (swept, noticed) = crowded(&town, both).await;
        let swept = swept.unwrap();
        assert!(swept.failed.is_empty(), "round {round}: {swept:?}");
        assert_eq!(
            (noticed[0].status, &noticed[0].body["status"]),
            (200, &json!("processed")),
            "round {round}"
        );
        // Heard to be finished first, it minted, and the refund took all of it back; otherwise it never minted.
        let kept = kept(&town).await;
        let last = kept.rsplit(", ").next().unwrap();
        assert_eq!(last, format!("{id} refunded {}", swept.moved), "round {round}");
    }
    assert_eq!(town.of(A).get("balance").await.good()["spendableMicro"], 0);
    town.holds().await;
}
