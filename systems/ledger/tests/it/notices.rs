//! Notices of the provider: whatever comes, in whichever order, a payment mints once.

use ledger::notice::{STATUSES, signature};
use ledger::payments::may_move;
use serde_json::{Value, json};

use crate::ground::{A, Deployment, in_both_deployments_direct_and_pooled};
use crate::town::{Answered, SECRET, Town, ask};

in_both_deployments_direct_and_pooled!(
    a_payment_mints_once_however_its_notices_come,
    a_refund_takes_back_what_is_left_and_notes_the_rest,
    what_fails_is_not_answered_2xx_and_comes_again,
);

async fn deliver(town: &Town, payload: &Value) -> Answered {
    deliver_signed(town, payload, Some(&signature(SECRET, &payload.to_string()))).await
}

async fn deliver_signed(town: &Town, payload: &Value, signature: Option<&str>) -> Answered {
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    headers.extend(signature.map(|text| ("x-nowpayments-sig".to_owned(), text.to_owned())));
    let url = format!("{}/webhooks/nowpayments", town.base);
    ask("POST", url, headers, Some(payload.to_string().into_bytes())).await.unwrap()
}

fn notice(payment: &str, status: &str) -> Value {
    json!({ "payment_id": payment, "payment_status": status, "price_amount": 29.99, "pay_currency": "usdt" })
}

async fn lots(town: &Town, payment: &str) -> String {
    let sql = format!(
        "SELECT count(*) || ' lots, ' || coalesce(sum(lot.amount_micro), 0) || ' minted, ' ||
                (SELECT status FROM crypto_payments WHERE payment_id = '{payment}')
         FROM credit_lots AS lot WHERE lot.payment_id = '{payment}'"
    );
    town.ground.database.value(&sql).await
}

async fn a_payment_mints_once_however_its_notices_come(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let asker = town.of(A);
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let statuses = ["waiting", "confirming", "finished"];
    for (number, order) in orders.iter().enumerate() {
        let payment = format!("p{number}");
        let body = json!({ "paymentId": payment, "amountUsd": "29.99" });
        assert_eq!(asker.post("payments", body.clone()).await.status, 201);
        assert_eq!(asker.post("payments", body).await.refusal(), (409, "ALREADY_THERE"));
        for at in order.iter().chain(order).chain(order) {
            let answer = deliver(&town, &notice(&payment, statuses[*at])).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
        assert_eq!(lots(&town, &payment).await, "1 lots, 29990000 minted, finished", "{order:?}");
    }
    // A key that a tenant thought of is not in the way of its payment.
    asker.post("payments", json!({ "paymentId": "wanted", "amountUsd": "29.99" })).await.good();
    let grant = json!({ "key": "payment:wanted", "source": "grant", "amountMicro": 1 });
    assert_eq!(asker.post("lots", grant).await.refusal(), (400, "INVALID_REQUEST"));
    deliver(&town, &notice("wanted", "finished")).await.good();
    assert_eq!(lots(&town, "wanted").await, "1 lots, 29990000 minted, finished");
    // Sixteen at once of each.
    asker.post("payments", json!({ "paymentId": "at-once", "amountUsd": "29.99" })).await.good();
    let mut deliveries = Vec::new();
    for _ in 0..16 {
        for status in statuses {
            deliveries.push(notice("at-once", status));
        }
    }
    let answers: Vec<_> = deliveries.iter().map(|payload| deliver(&town, payload)).collect();
    let mut processed = 0;
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer.status, 200, "{}", answer.text);
        processed += usize::from(answer.body["mintedMicro"] == 29_990_000);
    }
    assert_eq!(processed, 1);
    assert_eq!(lots(&town, "at-once").await, "1 lots, 29990000 minted, finished");
    town.holds().await;
}

async fn a_refund_takes_back_what_is_left_and_notes_the_rest(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let asker = town.of(A);
    asker.post("payments", json!({ "paymentId": "p", "amountUsd": "29.99" })).await.good();
    deliver(&town, &notice("p", "finished")).await.good();
    asker.post("debits", json!({ "key": "d", "amountMicro": 10_000_000 })).await.good();
    deliver(&town, &notice("p", "refunded")).await.good();
    assert_eq!(asker.get("balance").await.good()["spendableMicro"], 0);
    let kept = "SELECT (metadata -> 'refund')::text FROM crypto_payments WHERE payment_id = 'p'";
    let kept: Value = serde_json::from_str(&town.ground.database.value::<String>(kept).await).unwrap();
    assert_eq!(kept, json!({ "clawedBackMicro": 19_990_000, "debtMicro": 10_000_000 }));
    let again = deliver(&town, &notice("p", "refunded")).await.good();
    assert_eq!(again["status"], "duplicate");
    // What comes back to a lot whose payment came back is nobody's to spend.
    let back = json!({ "key": "c", "debitKey": "d", "amountMicro": 4_000_000 });
    asker.post("credit-backs", back).await.good();
    assert_eq!(asker.get("balance").await.good()["spendableMicro"], 0);
    // A refund that comes before its payment was heard to be finished: nothing is minted then.
    asker.post("payments", json!({ "paymentId": "q", "amountUsd": "29.99" })).await.good();
    deliver(&town, &notice("q", "refunded")).await.good();
    assert_eq!(deliver(&town, &notice("q", "finished")).await.good()["reason"], "terminal_state");
    assert_eq!(lots(&town, "q").await, "0 lots, 0 minted, refunded");
    town.holds().await;
}

async fn what_fails_is_not_answered_2xx_and_comes_again(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let asker = town.of(A);
    // Nobody knows the payment yet: its notice is kept nowhere, and does its work when it comes again.
    let early = deliver(&town, &notice("p", "finished")).await;
    assert_eq!((early.status, &early.body["reason"]), (404, &json!("unknown_payment")));
    asker.post("payments", json!({ "paymentId": "p", "amountUsd": "29.99" })).await.good();
    // Another price than was asked for: neither minted nor remembered.
    let mut altered = notice("p", "finished");
    altered["price_amount"] = json!(2_999);
    let refused = deliver(&town, &altered).await;
    assert_eq!((refused.status, &refused.body["reason"]), (409, &json!("amount_mismatch")));
    assert_eq!(deliver(&town, &notice("p", "finished")).await.good()["mintedMicro"], 29_990_000);
    for (payload, sign, status, reason) in [
        (notice("p", "finished"), None, 401, "missing_signature"),
        (notice("p", "finished"), Some("00".to_owned()), 401, "invalid_signature"),
        (
            notice("p", "finished"),
            Some(signature("other", &notice("p", "finished").to_string())),
            401,
            "invalid_signature",
        ),
        (
            notice("p", "refunded"),
            Some(signature(SECRET, &notice("p", "finished").to_string())),
            401,
            "invalid_signature",
        ),
    ] {
        let answer = deliver_signed(&town, &payload, sign.as_deref()).await;
        assert_eq!((answer.status, &answer.body["reason"]), (status, &json!(reason)));
    }
    for payload in
        [json!({}), json!({ "payment_id": "p" }), json!({ "payment_id": "p", "payment_status": "paid" })]
    {
        let answer = deliver(&town, &payload).await;
        assert_eq!((answer.status, &answer.body["reason"]), (200, &json!("invalid_payload")), "{payload}");
    }
    assert_eq!(lots(&town, "p").await, "1 lots, 29990000 minted, finished");
    town.holds().await;
}

/// Which moves there are: a row for each status, a column for each status that a notice brings.
const MOVES: &str = "
                    waiting confirming confirmed sending partially_paid finished expired failed refunded
    waiting         .       x          x         x       x              x        x       x      x
    confirming      .       .          x         x       x              x        x       x      x
    confirmed       .       .          .         x       x              x        x       x      x
    sending         .       .          .         .       x              x        x       x      x
    partially_paid  .       .          .         .       .              x        x       x      x
    finished        .       .          .         .       .              .        .       .      x
    expired         .       .          .         .       .              .        .       .      .
    failed          .       .          .         .       .              .        .       .      .
    refunded        .       .          .         .       .              .        .       .      .
";

#[tokio::test]
async fn a_payment_moves_as_the_table_says_and_the_database_allows_every_move_of_it() {
    let town = Town::new(Deployment::Own).await;
    let mut rows = MOVES.lines().map(str::trim).filter(|line| !line.is_empty());
    assert_eq!(rows.next().unwrap().split_whitespace().collect::<Vec<_>>(), STATUSES);
    let mut moves = 0;
    for row in rows {
        let mut cells = row.split_whitespace();
        let from = cells.next().unwrap();
        for (to, cell) in STATUSES.iter().zip(cells) {
            assert_eq!(may_move(from, to), cell == "x", "{from} {to}");
            let payment = format!("{from}-{to}");
            let plant = format!(
                "INSERT INTO crypto_payments (community_id, payment_id, amount_usd, status) VALUES ('{A}', '{payment}', 29.99, '{from}')"
            );
            town.ground.database.execute(&plant).await;
            let answer = deliver(&town, &notice(&payment, to)).await;
            let said = answer.body["status"].as_str().unwrap();
            assert_eq!(
                (answer.status, said == "processed"),
                (200, cell == "x"),
                "{from} {to}: {}",
                answer.text
            );
            moves += usize::from(cell == "x");
        }
    }
    assert_eq!(moves, 31);
}
