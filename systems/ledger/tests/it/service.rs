//! The service over HTTP: what it does, what it refuses, for whom.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::ground::{A, B, Deployment, in_both_deployments_direct_and_pooled};
use crate::town::Town;

in_both_deployments_direct_and_pooled!(
    a_tenant_is_given_credit_and_spends_it_once,
    a_reservation_is_finalized_in_three_ways_or_given_back,
    a_debit_is_returned_in_parts_and_never_beyond,
    what_is_past_its_expiry_is_not_spent_and_does_not_come_back,
    another_tenants_rows_are_neither_shown_nor_changed,
    bad_input_is_refused_by_one_table_of_reasons,
    tokens_are_believed_only_as_they_were_signed_by_a_key_that_stands,
    a_key_that_was_revoked_or_is_past_its_time_is_believed_no_more,
    a_breaker_trips_at_exactly_a_twentieth_and_is_reset_by_a_person,
);

async fn a_tenant_is_given_credit_and_spends_it_once(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let ask = town.of(A);
    let lot = json!({ "key": "l1", "source": "grant", "amountMicro": 1_000 });
    let minted = ask.post("lots", lot.clone()).await.good();
    assert_eq!(ask.post("lots", lot).await.good(), minted);
    let debit = json!({ "key": "d1", "amountMicro": 700 });
    let debited = ask.post("debits", debit.clone()).await.good();
    assert_eq!(debited["lots"], json!([{ "lot": minted["lotId"], "micro": 700 }]));
    assert_eq!(ask.post("debits", debit).await.good(), debited);
    let other = ask.post("debits", json!({ "key": "d1", "amountMicro": 701 })).await;
    assert_eq!(other.refusal(), (409, "IDEMPOTENCY_CONFLICT"));
    let more = ask.post("debits", json!({ "key": "d2", "amountMicro": 301 })).await;
    assert_eq!((more.refusal(), &more.body["availableMicro"]), ((402, "BUDGET_EXCEEDED"), &json!(300)));
    let balance = ask.get("balance").await.good();
    assert_eq!((&balance["spendableMicro"], &balance["isOpen"]), (&json!(300), &json!(true)));
    // Earliest expiry first, never-ending last, and a debit may span both.
    let soon = jiff::Timestamp::now().as_second() + 3_600;
    let soon = jiff::Timestamp::from_second(soon).unwrap().to_string();
    let lot = json!({ "key": "l2", "source": "seed", "amountMicro": 500, "expiresAt": soon });
    let first = ask.post("lots", lot).await.good();
    let spanning = ask.post("debits", json!({ "key": "d3", "amountMicro": 600 })).await.good();
    let lots = json!([{ "lot": first["lotId"], "micro": 500 }, { "lot": minted["lotId"], "micro": 100 }]);
    assert_eq!(spanning["lots"], lots);
    let status = format!("SELECT status FROM credit_lots WHERE id = '{}'", first["lotId"].as_str().unwrap());
    assert_eq!(town.ground.database.value::<String>(&status).await, "depleted");
    let batch = ask
        .post(
            "debits/batch",
            json!({ "debits": [{ "key": "b1", "amountMicro": 150 }, { "key": "b2", "amountMicro": 60 },
                               { "key": "b1", "amountMicro": 150 }, { "key": "b3", "amountMicro": 50 }] }),
        )
        .await
        .good();
    let said =
        |at: usize| batch["answers"][at]["status"].as_str().or(batch["answers"][at]["reason"].as_str());
    assert_eq!(
        [said(0), said(1), said(2), said(3)],
        [Some("debited"), Some("BUDGET_EXCEEDED"), Some("debited"), Some("debited")]
    );
    assert_eq!(ask.get("balance").await.good()["spendableMicro"], 0);
    let page = ask.get("statement?limit=2").await.good();
    let entries = page["entries"].as_array().unwrap().clone();
    assert_eq!(entries.len(), 2);
    let next = ask.get(&format!("statement?before={}", entries[1]["entryId"].as_str().unwrap())).await.good();
    assert_eq!(next["entries"].as_array().unwrap().len(), 5, "{next}");
    town.holds().await;
}

async fn a_reservation_is_finalized_in_three_ways_or_given_back(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let ask = town.of(A);
    ask.post("lots", json!({ "key": "l", "source": "grant", "amountMicro": 10_000 })).await.good();
    let spendable = async || ask.get("balance").await.good()["spendableMicro"].as_i64().unwrap();
    let finalize = async |reservation: &str, id: &str, cost: i64, mode: &str, fence: Option<i64>| {
        let body = json!({
            "finalizationId": id, "costMicro": cost, "mode": mode, "nftId": "n", "poolId": "p", "tokensInput": 5,
            "fence": fence,
        });
        ask.post(&format!("reservations/{reservation}/finalize"), body).await
    };
    for (id, amount) in [("r1", 1_000), ("r2", 1_000), ("r3", 1_000), ("r4", 1_000), ("r5", 500)] {
        let reserve = json!({ "reservationId": id, "amountMicro": amount });
        let reserved = ask.post("reservations", reserve.clone()).await.good();
        assert_eq!(ask.post("reservations", reserve).await.good(), reserved);
    }
    assert_eq!(spendable().await, 5_500);
    let other = ask.post("reservations", json!({ "reservationId": "r1", "amountMicro": 2 })).await;
    assert_eq!(other.refusal(), (409, "IDEMPOTENCY_CONFLICT"));
    // Below: the rest comes back. Above: capped; capped and reported; charged.
    let below = finalize("r1", "f1", 400, "live", Some(7)).await.good();
    assert_eq!((&below["chargedMicro"], &below["seq"]), (&json!(400), &json!(1)));
    assert_eq!(finalize("r1", "f1", 400, "live", Some(9)).await.good(), below);
    assert_eq!(finalize("r1", "f1", 401, "live", None).await.refusal(), (409, "IDEMPOTENCY_CONFLICT"));
    assert_eq!(finalize("r1", "f9", 400, "live", None).await.refusal(), (409, "INVALID_STATE"));
    assert_eq!(finalize("r2", "f2", 1_500, "live", Some(7)).await.refusal(), (409, "STALE_FENCE"));
    let live = finalize("r2", "f2", 1_500, "live", Some(8)).await.good();
    assert_eq!((&live["chargedMicro"], &live["overrunMicro"]), (&json!(1_000), &json!(0)));
    let shadow = finalize("r3", "f3", 1_500, "shadow", None).await.good();
    assert_eq!((&shadow["chargedMicro"], &shadow["overrunMicro"]), (&json!(1_000), &json!(500)));
    let soft = finalize("r4", "f4", 1_500, "soft", None).await.good();
    assert_eq!((&soft["chargedMicro"], &soft["uncoveredMicro"]), (&json!(1_500), &json!(0)));
    assert_eq!(spendable().await, 5_600);
    let beyond = finalize("r5", "f5", 9_000, "soft", None).await.good();
    assert_eq!((&beyond["chargedMicro"], &beyond["uncoveredMicro"]), (&json!(6_100), &json!(2_900)));
    assert_eq!(spendable().await, 0);
    assert_eq!(ask.post("reservations/r5/release", json!({})).await.refusal(), (409, "INVALID_STATE"));
    assert_eq!(
        ask.post("reservations/none/release", json!({})).await.refusal(),
        (404, "UNKNOWN_RESERVATION")
    );
    ask.post("lots", json!({ "key": "l2", "source": "grant", "amountMicro": 100 })).await.good();
    ask.post("reservations", json!({ "reservationId": "r6", "amountMicro": 100 })).await.good();
    let released = ask.post("reservations/r6/release", json!({})).await.good();
    assert_eq!(ask.post("reservations/r6/release", json!({})).await.good(), released);
    assert_eq!(spendable().await, 100);
    // One whose time is over is given back by the sweep, and cannot be finalized before that either.
    ask.post("reservations", json!({ "reservationId": "r7", "amountMicro": 60, "seconds": 1 })).await.good();
    let community: Uuid = A.parse().unwrap();
    testkit::eventually("the reservation is due", crate::town::BOUND, async || {
        town.ledger.due(10).await.unwrap().contains(&community).then_some(())
    })
    .await
    .unwrap();
    let late = finalize("r7", "f7", 1, "live", None).await;
    assert_eq!((late.refusal(), &late.body["status"]), ((409, "INVALID_STATE"), &json!("expired")));
    let swept = town.ledger.sweep(community, 100).await.unwrap();
    assert_eq!(swept["reservations"], 1);
    assert_eq!(spendable().await, 100);
    // Every event is looked at once.
    let looked = town.ledger.reconcile(community, 3).await.unwrap();
    assert_eq!((&looked["events"], &looked["driftMicro"]), (&json!(3), &json!(0)));
    assert_eq!(town.ledger.reconcile(community, 3).await.unwrap()["events"], 2);
    assert_eq!(town.ledger.reconcile(community, 3).await.unwrap()["events"], 0);
    town.holds().await;
}

async fn a_debit_is_returned_in_parts_and_never_beyond(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let ask = town.of(A);
    for key in ["l1", "l2"] {
        ask.post("lots", json!({ "key": key, "source": "grant", "amountMicro": 100 })).await.good();
    }
    ask.post("debits", json!({ "key": "d", "amountMicro": 150 })).await.good();
    let back = async |key: &str, amount: i64| {
        ask.post("credit-backs", json!({ "key": key, "debitKey": "d", "amountMicro": amount })).await
    };
    assert_eq!(back("c1", 60).await.good(), json!({ "status": "credited_back", "amountMicro": 60 }));
    assert_eq!(back("c1", 60).await.good()["amountMicro"], 60);
    assert_eq!(back("c1", 61).await.refusal(), (409, "IDEMPOTENCY_CONFLICT"));
    let beyond = back("c2", 91).await;
    assert_eq!(
        (beyond.refusal(), &beyond.body["returnableMicro"]),
        ((409, "CREDIT_BACK_EXCEEDS_DEBIT"), &json!(90))
    );
    back("c3", 90).await.good();
    assert_eq!(back("c4", 1).await.refusal(), (409, "CREDIT_BACK_EXCEEDS_DEBIT"));
    let unknown = ask.post("credit-backs", json!({ "key": "c", "debitKey": "x", "amountMicro": 1 })).await;
    assert_eq!(unknown.refusal(), (404, "UNKNOWN_DEBIT"));
    // What a lot that was drained got back can be spent again.
    assert_eq!(ask.get("balance").await.good()["spendableMicro"], 200);
    ask.post("debits", json!({ "key": "d2", "amountMicro": 200 })).await.good();
    town.holds().await;
}

async fn what_is_past_its_expiry_is_not_spent_and_does_not_come_back(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let (ask, community) = (town.of(A), A.parse().unwrap());
    let soon = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_secs(2)).unwrap().to_string();
    let lot = json!({ "key": "l", "source": "grant", "amountMicro": 100, "expiresAt": soon });
    ask.post("lots", lot).await.good();
    ask.post("debits", json!({ "key": "d", "amountMicro": 30 })).await.good();
    testkit::eventually("the lot is over", crate::town::BOUND, async || {
        town.ledger.due(10).await.unwrap().contains(&community).then_some(())
    })
    .await
    .unwrap();
    let spent = ask.post("debits", json!({ "key": "e", "amountMicro": 1 })).await;
    assert_eq!((spent.refusal(), &spent.body["availableMicro"]), ((402, "BUDGET_EXCEEDED"), &json!(0)));
    // Comes back, and is over at once.
    ask.post("credit-backs", json!({ "key": "c", "debitKey": "d", "amountMicro": 10 })).await.good();
    assert_eq!(ask.get("balance").await.good()["spendableMicro"], 0);
    let swept = town.ledger.sweep(community, 100).await.unwrap();
    assert_eq!((&swept["lots"], &swept["expiredMicro"]), (&json!(1), &json!(70)));
    assert_eq!(town.ledger.sweep(community, 100).await.unwrap()["lots"], 0);
    let past =
        json!({ "key": "p", "source": "grant", "amountMicro": 1, "expiresAt": "2020-01-01T00:00:00Z" });
    assert_eq!(ask.post("lots", past).await.refusal(), (400, "ALREADY_EXPIRED"));
    town.holds().await;
}

async fn another_tenants_rows_are_neither_shown_nor_changed(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let (a, b) = (town.of(A), town.of(B));
    a.post("lots", json!({ "key": "k", "source": "grant", "amountMicro": 1_000 })).await.good();
    a.post("debits", json!({ "key": "d", "amountMicro": 10 })).await.good();
    a.post("reservations", json!({ "reservationId": "r", "amountMicro": 10 })).await.good();
    // The same keys and ids are others for another tenant.
    assert_eq!(
        b.post("debits", json!({ "key": "d", "amountMicro": 10 })).await.refusal(),
        (402, "BUDGET_EXCEEDED")
    );
    assert_eq!(b.post("reservations/r/release", json!({})).await.refusal(), (404, "UNKNOWN_RESERVATION"));
    let back = json!({ "key": "c", "debitKey": "d", "amountMicro": 1 });
    assert_eq!(b.post("credit-backs", back).await.refusal(), (404, "UNKNOWN_DEBIT"));
    assert_eq!(b.get("statement").await.good()["entries"], json!([]));
    assert_eq!(b.get("balance").await.good()["lots"], json!([]));
    b.post("lots", json!({ "key": "k", "source": "grant", "amountMicro": 5 })).await.good();
    let body = json!({ "finalizationId": "f", "costMicro": 1, "nftId": "n", "poolId": "p" });
    a.post("reservations/r/finalize", body.clone()).await.good();
    b.post("reservations", json!({ "reservationId": "r", "amountMicro": 5 })).await.good();
    b.post("reservations/r/finalize", body).await.good();
    // Whoever has one tenant's token has no other's.
    let of_a = town.with_token(&town.token(&json!({ "community": A })), B);
    assert_eq!(of_a.get("balance").await.refusal(), (403, "COMMUNITY_MISMATCH"));
    // Without a tenant, a role of the application sees no row of any of the new tables, and writes none.
    let app = town.ground.app().await;
    for table in ["ledger_requests", "reservations", "usage_heads", "circuit_breakers"] {
        let rows = app.query(&format!("SELECT * FROM {table}"), &[]).await.unwrap();
        assert!(rows.is_empty(), "{table}");
    }
    let error = app.query("INSERT INTO usage_heads VALUES (gen_random_uuid(), 1)", &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42501");
    for sql in [
        "DELETE FROM ledger_requests",
        "UPDATE ledger_requests SET answer = '{}'",
        "DELETE FROM reservations",
        "TRUNCATE ledger_requests",
        "TRUNCATE reservations",
    ] {
        let error = town.ground.migrator().await.execute(sql, &[]).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "LG001", "{sql}");
    }
    town.holds().await;
}

async fn bad_input_is_refused_by_one_table_of_reasons(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let ask = town.of(A);
    ask.post("lots", json!({ "key": "l", "source": "grant", "amountMicro": 1_000 })).await.good();
    ask.post("reservations", json!({ "reservationId": "r", "amountMicro": 5 })).await.good();
    for amount in [
        json!(0),
        json!(-1),
        json!(1.5),
        json!("5"),
        json!(9_300_000_000_000_000_000_u64),
        json!(1e30),
        Value::Null,
    ] {
        for (path, body) in [
            ("debits", json!({ "key": "k", "amountMicro": amount })),
            ("lots", json!({ "key": "k", "source": "grant", "amountMicro": amount })),
            ("reservations", json!({ "reservationId": "k", "amountMicro": amount })),
            ("credit-backs", json!({ "key": "k", "debitKey": "k", "amountMicro": amount })),
        ] {
            assert_eq!(ask.post(path, body).await.refusal(), (400, "INVALID_AMOUNT"), "{path} {amount}");
        }
    }
    for (path, body) in [
        ("debits", json!({ "amountMicro": 1 })),
        ("debits", json!({ "key": "", "amountMicro": 1 })),
        ("debits", json!({ "key": "x".repeat(201), "amountMicro": 1 })),
        ("debits", json!({ "key": "a\0", "amountMicro": 1 })),
        ("debits", json!([])),
        ("debits/batch", json!({ "debits": [] })),
        ("debits/batch", json!({ "debits": [{ "key": "k" }] })),
        ("lots", json!({ "key": "k", "source": "purchase", "amountMicro": 1 })),
        ("lots", json!({ "key": "payment:5", "source": "grant", "amountMicro": 1 })),
        ("lots", json!({ "key": "k", "source": "grant", "amountMicro": 1, "expiresAt": "soon" })),
        ("reservations", json!({ "reservationId": "k", "amountMicro": 1, "seconds": 0 })),
        ("reservations/r/finalize", json!({ "finalizationId": "f", "nftId": "n", "poolId": "p" })),
        (
            "reservations/r/finalize",
            json!({ "finalizationId": "f", "costMicro": -1, "nftId": "n", "poolId": "p" }),
        ),
        (
            "reservations/r/finalize",
            json!({ "finalizationId": "f", "costMicro": 1, "mode": "x", "nftId": "n", "poolId": "p" }),
        ),
        ("payments", json!({ "paymentId": "p", "amountUsd": "1.234" })),
        ("payments", json!({ "paymentId": "p", "amountUsd": "0.00" })),
        ("payments", json!({ "paymentId": "p", "amountUsd": 5 })),
        ("conservation", json!({ "countedMicro": 5 })),
    ] {
        assert_eq!(ask.post(path, body.clone()).await.refusal(), (400, "INVALID_REQUEST"), "{path} {body}");
    }
    assert_eq!(ask.raw("POST", "debits", b"{".to_vec()).await.refusal(), (400, "INVALID_REQUEST"));
    assert_eq!(ask.raw("POST", "debits", vec![b' '; 300_000]).await.refusal(), (413, "BODY_TOO_LARGE"));
    assert_eq!(ask.get("statement?before=x").await.refusal(), (400, "INVALID_REQUEST"));
    assert_eq!(ask.get("nothing").await.refusal(), (404, "NOT_FOUND"));
    assert_eq!(ask.get("debits").await.refusal(), (405, "METHOD_NOT_ALLOWED"));
    // A tenant that nobody knows has nothing; a path that names none is refused.
    let nobody = town.of("00000000-0000-4000-8000-00000000000f");
    assert_eq!(nobody.get("balance").await.good()["spendableMicro"], 0);
    assert_eq!(town.of("x").get("balance").await.refusal(), (400, "INVALID_REQUEST"));
    assert_eq!(ask.get("balance").await.good()["spendableMicro"], 995);
    town.holds().await;
}

async fn tokens_are_believed_only_as_they_were_signed_by_a_key_that_stands(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let now = jiff::Timestamp::now().as_second();
    let ask = |token: &str| town.with_token(token, A);
    let good = town.token(&json!({}));
    ask(&good).get("balance").await.good();
    let parts: Vec<&str> = good.split('.').collect();
    use base64::Engine as _;
    let url = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let none = url.encode(r#"{"alg":"none","kid":"k1"}"#);
    let hs = url.encode(r#"{"alg":"HS256","kid":"k1"}"#);
    let other = url.encode(
        json!({ "iss": "freeside", "aud": "ledger", "exp": now + 9_999, "community": B }).to_string(),
    );
    for (what, token) in [
        ("nothing", String::new()),
        ("no token", "x".to_owned()),
        ("unsigned", format!("{none}.{}.", parts[1])),
        ("another algorithm", format!("{hs}.{}.{}", parts[1], parts[2])),
        ("other claims", format!("{}.{other}.{}", parts[0], parts[2])),
        ("expired", town.token(&json!({ "exp": now - 120 }))),
        ("without an end", town.token(&json!({ "exp": null }))),
        ("not yet", town.token(&json!({ "nbf": now + 600 }))),
        ("of tomorrow", town.token(&json!({ "iat": now + 86_400 }))),
        ("another service", town.token(&json!({ "aud": "mail" }))),
        ("another issuer", town.token(&json!({ "iss": "finn" }))),
        ("without tenant", town.token(&json!({ "community": null }))),
        ("too long", "a.".repeat(5_000)),
        ("an unknown key", town.key.sign("k9", &town.claims(&json!({}))).unwrap()),
        (
            "another key",
            ledger::keys::SigningKey::generate().unwrap().sign("k1", &town.claims(&json!({}))).unwrap(),
        ),
    ] {
        assert_eq!(ask(&token).get("balance").await.refusal(), (401, "UNAUTHORIZED"), "{what}");
    }
    // Clocks may differ a little.
    ask(&town.token(&json!({ "exp": now - 20, "iat": now + 20 }))).get("balance").await.good();
    // A key beside the old one: both are valid until the old one is revoked.
    let next = ledger::keys::SigningKey::generate().unwrap();
    town.publish("k2", &next).await;
    let by_next = next.sign("k2", &town.claims(&json!({}))).unwrap();
    testkit::eventually("the new key is known", crate::town::BOUND, async || {
        (ask(&by_next).get("balance").await.status == 200).then_some(())
    })
    .await
    .unwrap();
    ask(&good).get("balance").await.good();
    let keys = town.plain("/.well-known/jwks.json", &[]).await;
    assert_eq!(keys.header("cache-control"), Some("public, max-age=60"));
    let etag = keys.header("etag").unwrap().to_owned();
    assert!(etag.starts_with("W/\"") && etag.len() == 20, "{etag}");
    let published: Vec<&Value> =
        keys.body["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert_eq!(published, ["k2", "k1"]);
    for key in keys.body["keys"].as_array().unwrap() {
        let names: Vec<&String> = key.as_object().unwrap().keys().collect();
        assert_eq!(names, ["kty", "crv", "x", "y", "kid", "use", "alg"]);
    }
    assert_eq!(town.plain("/.well-known/jwks.json", &[("if-none-match", &etag)]).await.status, 304);
    assert_eq!(town.plain("/health", &[]).await.status, 200);
    assert!(town.plain("/metrics", &[]).await.text.contains("ledger_requests_total"));
}

async fn a_key_that_was_revoked_or_is_past_its_time_is_believed_no_more(deployment: Deployment) {
    let town = Town::new(deployment).await;
    for (kid, ended, believed) in [
        ("revoked", "revoked_at = now()", false),
        ("over", "expires_at = now() - interval '1 second'", false),
        ("soon", "expires_at = now() + interval '1 hour'", true),
    ] {
        let key = ledger::keys::SigningKey::generate().unwrap();
        town.publish(kid, &key).await;
        let sql = format!("UPDATE s2s_jwks_public_keys SET {ended} WHERE kid = '{kid}'");
        town.ground.database.execute(&sql).await;
        let token = key.sign(kid, &town.claims(&json!({}))).unwrap();
        let answer = testkit::eventually("the keys are read anew", crate::town::BOUND, async || {
            let answer = town.with_token(&token, A).get("balance").await;
            (answer.status == if believed { 200 } else { 401 }).then_some(answer)
        })
        .await
        .unwrap();
        if !believed {
            assert_eq!(answer.refusal(), (401, "UNAUTHORIZED"), "{kid}");
        }
    }
    let keys = town.plain("/.well-known/jwks.json", &[]).await;
    let kids: Vec<&Value> = keys.body["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert!(kids.contains(&&json!("soon")) && kids.contains(&&json!("k1")), "{kids:?}");
    assert!(!kids.contains(&&json!("revoked")) && !kids.contains(&&json!("over")), "{kids:?}");
}

/// The page's table of reasons: a word in its row, with its status, for every one that there is.
#[test]
fn the_table_of_reasons_is_complete() {
    let page = std::fs::read_to_string(ledger::directory().join("README.md")).unwrap();
    let table: Vec<&str> = page.lines().skip_while(|line| !line.starts_with("| reason | status |")).collect();
    let rows = table.into_iter().take_while(|line| line.starts_with('|'));
    let mut known = std::collections::BTreeMap::new();
    for row in rows.skip(2) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for pair in [&cells[1..3], &cells[4..6]] {
            if pair[1].is_empty() {
                continue;
            }
            for word in pair[0].split('`').skip(1).step_by(2) {
                known.insert(word.to_owned(), pair[1].parse::<u16>().unwrap());
            }
        }
    }
    let of_the_way_in = [
        ("INVALID_REQUEST", 400),
        ("UNAUTHORIZED", 401),
        ("COMMUNITY_MISMATCH", 403),
        ("ALL_TENANTS_ONLY", 403),
        ("NOT_FOUND", 404),
        ("METHOD_NOT_ALLOWED", 405),
        ("ALREADY_THERE", 409),
        ("BODY_TOO_LARGE", 413),
        ("UNKNOWN_OUTCOME", 500),
        ("BUSY", 503),
        ("NOT_CONFIGURED", 503),
    ];
    // Only a payment can have minted already, and its notices are answered in words of their own.
    let of_operations =
        ledger::Reason::ALL.into_iter().filter(|reason| *reason != ledger::Reason::AlreadyMinted);
    let mut expected: std::collections::BTreeMap<String, u16> =
        of_the_way_in.into_iter().map(|(word, status)| (word.to_owned(), status)).collect();
    expected.extend(of_operations.map(|reason| (reason.as_str().to_owned(), reason.status())));
    assert_eq!(known, expected);
}

async fn a_breaker_trips_at_exactly_a_twentieth_and_is_reset_by_a_person(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let (ask, community) = (town.of(A), A.parse().unwrap());
    ask.post("lots", json!({ "key": "l", "source": "grant", "amountMicro": 10_000_000 })).await.good();
    let conserve = async |counted: i64| {
        let body = json!({ "countedMicro": counted, "limitMicro": 10_000_000 });
        ask.post("conservation", body).await.good()["verdict"].as_str().unwrap().to_owned()
    };
    assert_eq!(conserve(100_000).await, "holds");
    assert_eq!(conserve(499_999).await, "drifted");
    ask.post("debits", json!({ "key": "d", "amountMicro": 1 })).await.good();
    assert_eq!(conserve(500_000).await, "tripped");
    for (path, body) in [
        ("debits", json!({ "key": "e", "amountMicro": 1 })),
        ("reservations", json!({ "reservationId": "r", "amountMicro": 1 })),
    ] {
        assert_eq!(ask.post(path, body).await.refusal(), (503, "CIRCUIT_OPEN"));
    }
    // What was done is still answered the same.
    ask.post("debits", json!({ "key": "d", "amountMicro": 1 })).await.good();
    assert!(town.ledger.reset_breaker(community, "olga").await.unwrap());
    assert!(!town.ledger.reset_breaker(community, "olga").await.unwrap());
    ask.post("debits", json!({ "key": "e", "amountMicro": 1 })).await.good();
    assert_eq!(conserve(600_000).await, "tripped");
    assert_eq!(ask.get("balance").await.good()["isOpen"], false);
}
