//! A tenant cannot tell whether another one is there: the same requests, beside a busy neighbour and beside none, are
//! answered the same, sign for sign, and change nothing of the neighbour's.

use serde_json::{Value, json};

use crate::ground::{A, B, Deployment, in_both_deployments_direct_and_pooled};
use crate::town::{Answered, Asker, Town};

in_both_deployments_direct_and_pooled!(a_tenant_cannot_tell_whether_another_one_is_there);

/// What the neighbour has that somebody could ask for; where there is no neighbour, the same words.
struct Names {
    lot: String,
    entry: String,
}

/// Fills a neighbour's house: every kind of row that requests can make, under names that the other tenant tries, too.
async fn move_in(town: &Town) -> Names {
    let a = town.of(A);
    let lot = a.post("lots", json!({ "key": "lot", "source": "grant", "amountMicro": 1_000 })).await.good();
    a.post("debits", json!({ "key": "debit", "amountMicro": 100 })).await.good();
    a.post("credit-backs", json!({ "key": "back", "debitKey": "debit", "amountMicro": 10 })).await.good();
    for id in ["used", "held", "given"] {
        a.post("reservations", json!({ "reservationId": id, "amountMicro": 50 })).await.good();
    }
    a.post("reservations/used/finalize", finalize("final")).await.good();
    a.post("reservations/given/release", json!({})).await.good();
    a.post("payments", json!({ "paymentId": "5077125051", "amountUsd": "29.99" })).await.good();
    let page = a.get("statement").await.good();
    a.post("conservation", json!({ "countedMicro": 9_000_000, "limitMicro": 10 })).await.good();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Names { lot: text(&lot["lotId"]), entry: text(&page["entries"][0]["entryId"]) }
}

fn finalize(id: &str) -> Value {
    json!({ "finalizationId": id, "costMicro": 7, "fence": 1, "nftId": "n", "poolId": "p" })
}

/// Everything that the other tenant tries, each with the neighbour's names: method, path and body.
fn script(names: &Names) -> Vec<(&'static str, String, Value)> {
    let post = |path: &str, body: Value| ("POST", path.to_owned(), body);
    let get = |path: String| ("GET", path, Value::Null);
    vec![
        get("balance".to_owned()),
        get("statement".to_owned()),
        get(format!("statement?before={}", names.entry)),
        get(format!("statement?before={}&limit=500", names.lot)),
        post("debits", json!({ "key": "debit", "amountMicro": 100 })),
        post("credit-backs", json!({ "key": "back", "debitKey": "debit", "amountMicro": 10 })),
        post("reservations/used/finalize", finalize("final")),
        post("reservations/held/finalize", finalize("other")),
        post("reservations/held/release", json!({})),
        post("payments", json!({ "paymentId": "5077125051", "amountUsd": "29.99" })),
        post("lots", json!({ "key": "lot", "source": "grant", "amountMicro": 500 })),
        post("lots", json!({ "key": "payment:5077125051", "source": "grant", "amountMicro": 5 })),
        post("debits", json!({ "key": "debit", "amountMicro": 20 })),
        post("debits", json!({ "key": names.lot, "amountMicro": 1 })),
        post("debits", json!({ "key": format!("{A}:final"), "amountMicro": 1 })),
        post(
            "debits/batch",
            json!({ "debits": [{ "key": "debit", "amountMicro": 100 }, { "key": "d2", "amountMicro": 9_000 },
                               { "key": "d3", "amountMicro": 1 }] }),
        ),
        post("credit-backs", json!({ "key": "back", "debitKey": "debit", "amountMicro": 21 })),
        post("credit-backs", json!({ "key": "back", "debitKey": "debit", "amountMicro": 5 })),
        post("reservations", json!({ "reservationId": "used", "amountMicro": 50, "seconds": 9 })),
        post("reservations", json!({ "reservationId": "held", "amountMicro": 51, "seconds": 9 })),
        post("reservations/used/finalize", finalize("final")),
        post("reservations/used/finalize", finalize(&format!("{A}:final"))),
        post("reservations/held/release", json!({})),
        post("conservation", json!({ "countedMicro": 7, "limitMicro": 1_000 })),
        post("conservation", json!({ "countedMicro": 9_000_000, "limitMicro": 10 })),
        post("debits", json!({ "key": "late", "amountMicro": 1 })),
        get("balance".to_owned()),
        get("statement?limit=500".to_owned()),
    ]
}

/// An answer without what the server makes anew each time: its ids, each by the order in which they come, and times.
fn plain(answer: &Answered, made: &mut Vec<String>) -> String {
    let mut value = answer.body.clone();
    mask(&mut value, made);
    format!("{} {value}", answer.status)
}

fn mask(value: &mut Value, made: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|value| mask(value, made)),
        Value::Array(values) => values.iter_mut().for_each(|value| mask(value, made)),
        Value::String(text) if text.parse::<uuid::Uuid>().is_ok() && ![A, B].contains(&text.as_str()) => {
            let at = made.iter().position(|known| known == text).unwrap_or_else(|| {
                made.push(text.clone());
                made.len() - 1
            });
            *text = format!("id {at}");
        }
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => "a time".clone_into(text),
        _ => {}
    }
}

async fn play(asker: &Asker, names: &Names) -> Vec<String> {
    let mut made = vec![names.lot.clone(), names.entry.clone()];
    let mut answers = Vec::new();
    for (method, path, body) in script(names) {
        let answer = match method {
            "GET" => asker.get(&path).await,
            _ => asker.post(&path, body.clone()).await,
        };
        assert!(answer.status < 500 || answer.refusal() == (503, "CIRCUIT_OPEN"), "{path}: {}", answer.text);
        let (path, body) = (path.replace(&names.entry, "ENTRY").replace(&names.lot, "LOT"), body.to_string());
        let body = body.replace(&names.lot, "LOT");
        answers.push(format!("{method} {path} {body}: {}", plain(&answer, &mut made)));
    }
    answers
}

/// Everything that the neighbour has.
async fn kept(town: &Town) -> String {
    let tables = [
        "credit_lots",
        "lot_entries",
        "lot_totals",
        "reservations",
        "usage_events",
        "usage_heads",
        "ledger_requests",
        "crypto_payments",
        "circuit_breakers",
        "reconciliation_cursor",
    ];
    let parts = tables.map(|table| {
        format!("SELECT '{table} ' || one::text AS line FROM {table} AS one WHERE community_id = '{A}'")
    });
    let sql = format!(
        "SELECT string_agg(line, E'\\n' ORDER BY line) FROM ({}) AS lines",
        parts.join(" UNION ALL ")
    );
    town.ground.database.value(&sql).await
}

async fn a_tenant_cannot_tell_whether_another_one_is_there(deployment: Deployment) {
    let (beside, alone) = (Town::new(deployment).await, Town::new(deployment).await);
    let names = move_in(&beside).await;
    let before = kept(&beside).await;
    for table in
        ["credit_lots", "usage_events", "circuit_breakers", "crypto_payments", "reconciliation_cursor"]
    {
        assert!(before.contains(&format!("{table} ")), "the neighbour has rows in {table}");
    }
    let of_b = |town: &Town| town.with_token(&town.token(&json!({ "community": B })), B);
    let (with, without) = (play(&of_b(&beside), &names).await, play(&of_b(&alone), &names).await);
    assert_eq!(with, without);
    assert!(
        with.iter().any(|line| line.contains("\"finalized\"")),
        "B does things of its own, too: {with:?}"
    );
    // The neighbour's own paths: refused the same, whether anybody lives there.
    for path in ["balance", "statement"] {
        let mut answers = Vec::new();
        for town in [&beside, &alone] {
            let there = town.with_token(&town.token(&json!({ "community": B })), A).get(path).await;
            assert_eq!(there.refusal(), (403, "COMMUNITY_MISMATCH"));
            answers.push(there.text);
        }
        assert_eq!(answers[0], answers[1]);
    }
    assert_eq!(kept(&beside).await, before);
    beside.holds().await;
    alone.holds().await;
}

#[test]
fn everything_that_a_tenant_can_ask_is_tried() {
    let names = Names { lot: A.to_owned(), entry: A.to_owned() };
    let tried = script(&names);
    let page = std::fs::read_to_string(ledger::directory().join("README.md")).unwrap();
    let routes = page.split("Below `/v1/communities/{community}`").nth(1).unwrap();
    let routes = routes.split("| route | for |").next().unwrap();
    let mut known = 0;
    for row in routes.lines() {
        for word in row.split('`').skip(1).step_by(2) {
            let Some((method @ ("GET" | "POST"), path)) = word.split_once(" /") else { continue };
            let path = path.split([' ', '?']).next().unwrap();
            let is_path = |asked: &str| {
                let asked = asked.split('?').next().unwrap();
                asked.split('/').count() == path.split('/').count()
                    && asked
                        .split('/')
                        .zip(path.split('/'))
                        .all(|(one, other)| one == other || other == ":id")
            };
            assert!(
                tried.iter().any(|(with, asked, _)| *with == method && is_path(asked)),
                "{method} {path}"
            );
            known += 1;
        }
    }
    assert_eq!(known, 11, "routes of a tenant");
}
