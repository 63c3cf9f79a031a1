//! The sync of orders over HTTP, before and after the keys are copied.

use serde_json::json;
use tidegate_store::kv::UnixSecond;
use trips::keyspace;

use crate::migration_ground::{Ground, NOON, OLD};
use crate::migration_service::Service;

#[tokio::test]
async fn a_second_sync_of_a_day_makes_no_second_trip_before_and_after_the_keys_are_copied() {
    let service = Service::new(Ground::new().await).await;
    let asker = service.sign_up("james", "James").await;
    service.ground.trip("James", "hns_James_2026-02-01", OLD).await;
    let sync = async |date: &str| {
        let body = json!({ "date": date, "orders": [{ "id": format!("O-{date}") }] }).to_string();
        let answer = service.bare_post("/api/hughesnet/sync", &asker.cookie, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        (answer.body["trip"].as_str().unwrap().to_owned(), answer.body["created"].as_bool().unwrap())
    };
    let known = format!("hns_{}_2026-02-01", asker.id);
    assert_eq!(sync("2026-02-01").await, (known.clone(), false), "the name's trip is the day's");
    let new = format!("hns_{}_2026-02-02", asker.id);
    assert_eq!(sync("2026-02-02").await, (new.clone(), true));
    assert_eq!(sync("2026-02-02").await, (new.clone(), false));
    let told = service.ground.run("james", true).await;
    assert_eq!(told["done"], json!(true), "{told:#}");
    assert_eq!(sync("2026-02-01").await, (known.clone(), false));
    let mut keys = service.ground.keys(&keyspace::logs(), &format!("trip:{}:", asker.id)).await;
    keys.sort();
    assert_eq!(keys, [format!("trip:{}:{known}", asker.id), format!("trip:{}:{new}", asker.id)]);
    let kept = service.get("/api/hughesnet", &asker.cookie).await.body;
    assert_eq!(kept["orders"].as_array().unwrap().len(), 2);
    assert_eq!(kept["sessionEndsAt"], json!(NOON.0 + 172_800));
}

#[tokio::test]
async fn what_is_kept_under_a_name_is_told_before_and_after_it_is_copied() {
    let service = Service::new(Ground::new().await).await;
    let ground = &service.ground;
    let asker = service.sign_up("james", "James").await;
    let hns = keyspace::hughesnet();
    ground.put(&hns, "hns:settings:James", &json!({ "pay": 1, "updatedAt": OLD })).await;
    ground.put(&hns, "hns:db:James", &json!({ "O1": 1, "updatedAt": OLD })).await;
    let end = UnixSecond(NOON.0 + 1_000);
    ground.raw(&hns, "hns:session:James", b"{\"cookie\":\"c\"}", None, Some(end)).await;
    ground.raw(&hns, "hns:cred:James", &[0, 159, 146, 150], None, None).await;
    let order = json!({ "ownerId": "James", "order": { "id": "O1" } });
    ground.put(&keyspace::hughesnet_orders(), "hns:order:O1", &order).await;
    let others = json!({ "ownerId": "Somebody", "order": { "id": "O2" } });
    ground.put(&keyspace::hughesnet_orders(), "hns:order:O2", &others).await;
    ground.put(&keyspace::users(), "authenticators:James", &json!([{ "credentialID": "c1" }])).await;
    ground.raw(&keyspace::users(), "credential:c1", b"James", None, None).await;
    let before = service.get("/api/hughesnet", &asker.cookie).await.body;
    assert_eq!(before["settings"]["pay"], json!(1));
    assert_eq!(before["orders"], json!([{ "id": "O1" }]));
    assert_eq!(
        (&before["hasSecret"], &before["sessionEndsAt"], &before["ordersComplete"]),
        (&json!(true), &json!(end.0), &json!(true))
    );
    let passkeys = service.get("/api/auth/authenticators", &asker.cookie).await.body;
    assert_eq!(passkeys, json!({ "authenticators": [{ "credential": "c1", "linked": false }] }));
    let told = ground.run("james", true).await;
    assert_eq!(told["done"], json!(true), "{told:#}");
    ground.put(&keyspace::migrations(), keyspace::DUAL_READ_KEY, &json!({ "on": false })).await;
    assert_eq!(service.get("/api/hughesnet", &asker.cookie).await.body, before);
    let passkeys = service.get("/api/auth/authenticators", &asker.cookie).await.body;
    assert_eq!(passkeys, json!({ "authenticators": [{ "credential": "c1", "linked": true }] }));
}

#[tokio::test]
async fn an_order_of_somebody_else_or_one_that_cannot_be_one_writes_nothing() {
    let service = Service::new(Ground::new().await).await;
    let asker = service.sign_up("james", "James").await;
    let others = json!({ "ownerId": "Somebody", "order": { "id": "O2" } });
    service.ground.put(&keyspace::hughesnet_orders(), "hns:order:O2", &others).await;
    let before = service.ground.all().await;
    let many: Vec<_> = (0..101).map(|n| json!({ "id": n.to_string() })).collect();
    for (body, status) in [
        (json!({ "orders": [{ "id": "O1" }, { "id": "O2" }] }), 422),
        (json!({ "orders": [{ "id": "O1" }, { "id": "O1" }] }), 422),
        (json!({ "orders": [{}] }), 422),
        (json!({ "orders": many }), 422),
        (json!({ "date": "2026-02-30" }), 422),
        (json!({ "date": 1 }), 400),
        (json!({ "orders": 1 }), 400),
    ] {
        let answer = service.bare_post("/api/hughesnet/sync", &asker.cookie, &body.to_string()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
    }
    assert_eq!(service.ground.all().await, before);
}
