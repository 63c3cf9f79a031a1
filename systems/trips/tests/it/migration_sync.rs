//! What the sync keeps, and names inside of ids.

use serde_json::json;
use tidegate_store::kv::UnixSecond;
use trips::keyspace;

use crate::migration_ground::{Ground, NOON, OLD};

#[tokio::test]
async fn the_id_of_a_synced_trip_follows_everywhere() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let (old, new) = ("hns_James_2026-01-05".to_owned(), format!("hns_{id}_2026-01-05"));
    ground.trip("James", &old, OLD).await;
    let mileage = json!({ "id": old, "tripId": old, "userId": "James", "updatedAt": OLD });
    ground.put(&keyspace::mileage(), &format!("mileage:James:{old}"), &mileage).await;
    let gone = "hns_James_2026-01-06";
    let tombstone = json!({
        "id": gone, "userId": "James", "deleted": true, "updatedAt": OLD,
        "backup": trips::shapes::trip(gone, "James", OLD),
        "metadata": { "originalKey": format!("trip:James:{gone}") },
    });
    ground.put(&keyspace::logs(), &format!("trip:James:{gone}"), &tombstone).await;
    let told = ground.run("james", true).await;
    assert_eq!(told["done"], json!(true), "{told:#}");
    assert_eq!(ground.json(&keyspace::logs(), &format!("trip:{id}:{new}")).await["id"], json!(new));
    let mileage = ground.json(&keyspace::mileage(), &format!("mileage:{id}:{new}")).await;
    assert_eq!((&mileage["id"], &mileage["tripId"]), (&json!(new), &json!(new)));
    let gone = format!("hns_{id}_2026-01-06");
    let tombstone = ground.json(&keyspace::logs(), &format!("trip:{id}:{gone}")).await;
    assert_eq!((&tombstone["id"], &tombstone["backup"]["id"]), (&json!(gone), &json!(gone)));
    assert_eq!(tombstone["backup"]["userId"], json!(id));
}

#[tokio::test]
async fn settings_data_session_secret_and_orders_all_move() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let hns = keyspace::hughesnet();
    ground.put(&hns, "hns:settings:James", &json!({ "pay": 1, "updatedAt": OLD })).await;
    ground.put(&hns, "hns:db:James", &json!({ "O1": 1, "updatedAt": OLD })).await;
    let end = UnixSecond(NOON.0 + 1_000);
    ground.raw(&hns, "hns:session:James", b"{\"cookie\":\"c\"}", Some("{\"k\":1}"), Some(end)).await;
    let secret = [0_u8, 159, 146, 150];
    ground.raw(&hns, "hns:cred:James", &secret, None, None).await;
    ground.raw(&hns, "lock:sync:James", b"1", None, Some(end)).await;
    let order = json!({ "ownerId": "James", "storedAt": 1, "order": { "id": "O1", "ownerId": "James" } });
    let orders = keyspace::hughesnet_orders();
    ground.raw(&orders, "hns:order:O1", order.to_string().as_bytes(), Some("{\"k\":1}"), Some(end)).await;
    ground.put(&orders, "hns:order:O2", &json!({ "ownerId": "Somebody", "order": {} })).await;
    ground.put(&keyspace::user_settings(), "settings:James", &json!({ "theme": "dark" })).await;
    let told = ground.run("james", true).await;
    assert_eq!(told["done"], json!(true), "{told:#}");
    let session = ground.entry(&hns, &format!("hns:session:{id}")).await.unwrap();
    assert_eq!((session.expires_at, session.metadata.as_deref()), (Some(end), Some("{\"k\":1}")));
    assert_eq!(ground.entry(&hns, &format!("hns:cred:{id}")).await.unwrap().value.as_ref(), secret);
    for key in ["settings", "db"] {
        assert!(ground.entry(&hns, &format!("hns:{key}:{id}")).await.is_some(), "{key}");
    }
    assert!(ground.entry(&hns, &format!("lock:sync:{id}")).await.is_none(), "locks end by themselves");
    let order = ground.entry(&orders, "hns:order:O1").await.unwrap();
    assert_eq!((order.expires_at, order.metadata.as_deref()), (Some(end), Some("{\"k\":1}")));
    let order = ground.json(&orders, "hns:order:O1").await;
    assert_eq!((&order["ownerId"], &order["order"]["ownerId"]), (&json!(id), &json!("James")));
    assert_eq!(ground.json(&orders, "hns:order:O2").await["ownerId"], json!("Somebody"));
    assert_eq!(ground.keys(&orders, "").await.len(), 2, "no second copy of an order");
    assert_eq!(
        ground.json(&keyspace::user_settings(), &format!("settings:{id}")).await["theme"],
        json!("dark")
    );
}

#[tokio::test]
async fn the_former_trash_names_the_id_in_its_body_and_in_its_metadata() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let body = json!({
        "id": "t1", "userId": "James", "metadata": { "originalKey": "trip:James:t1" },
        "backup": trips::shapes::trip("t1", "James", OLD),
    });
    let metadata = json!({ "originalKey": "trip:James:t1" }).to_string();
    let end = UnixSecond(NOON.0 + 100);
    let trash = keyspace::trash();
    ground.raw(&trash, "trash:9", body.to_string().as_bytes(), Some(&metadata), Some(end)).await;
    assert_eq!(ground.status("james").await["trash_legacy"], json!(1));
    let told = ground.run("james", true).await;
    assert_eq!(told["done"], json!(true), "{told:#}");
    let entry = ground.entry(&trash, "trash:9").await.unwrap();
    let original = format!("trip:{id}:t1");
    assert_eq!(entry.expires_at, Some(end));
    assert_eq!(entry.metadata.as_deref(), Some(json!({ "originalKey": original }).to_string().as_str()));
    let body = ground.json(&trash, "trash:9").await;
    assert_eq!(body["userId"], json!(id));
    assert_eq!(body["backup"]["userId"], json!(id));
    assert_eq!(body["metadata"]["originalKey"], json!(original));
    assert_eq!(ground.status("james").await["trash_legacy"], json!(0));
}
