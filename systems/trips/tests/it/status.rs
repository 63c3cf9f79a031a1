//! What is left of a user's keys, counted without writing.

use serde_json::json;
use trips::keyspace;

use crate::migration_ground::{Ground, NEW, OLD};

#[tokio::test]
async fn one_trip_and_one_piece_of_trash_are_counted_and_none_after_they_were_moved() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    ground.trip("James", "t1", OLD).await;
    let trash = keyspace::trash();
    ground.put(&trash, "trash:1", &json!({ "id": "t9", "userId": "James" })).await;
    ground.put(&trash, "trash:2", &json!({ "id": "t8", "userId": id })).await;
    let before = ground.all().await;
    let told = ground.status("james").await;
    let counts = |told: &serde_json::Value| {
        ["trip_legacy", "trip_legacy_lower", "trash_legacy", "expense_legacy", "mileage_legacy"]
            .map(|name| told[name].as_u64().unwrap())
    };
    assert_eq!(counts(&told), [1, 0, 1, 0, 0], "{told:#}");
    assert_eq!(ground.all().await, before, "looking writes nothing");
    ground.run("james", true).await;
    let told = ground.status(&id).await;
    assert_eq!(counts(&told), [0, 0, 0, 0, 0], "{told:#}");
    assert_eq!(told["migrationState"]["done"], json!(true));
    assert_eq!(told["doMigrationState"]["done"], json!(true));
    assert_eq!(told["legacyKeys"], json!(1), "the trip under the name is still there");
}

#[tokio::test]
async fn a_name_in_lower_case_is_counted_once() {
    let ground = Ground::new().await;
    ground.user("jk", "james").await;
    ground.trip("james", "t1", OLD).await;
    let told = ground.status("jk").await;
    assert_eq!((&told["trip_legacy"], &told["trip_legacy_lower"]), (&json!(1), &json!(0)));
    ground.user("ak", "Ana").await;
    ground.trip("Ana", "t1", OLD).await;
    ground.trip("ana", "t2", NEW).await;
    let told = ground.status("ak").await;
    assert_eq!((&told["trip_legacy"], &told["trip_legacy_lower"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn every_kind_of_key_is_counted() {
    let ground = Ground::new().await;
    ground.user("james", "James").await;
    let body = json!({ "id": "1", "userId": "James", "updatedAt": OLD });
    ground.put(&keyspace::expenses(), "expense:James:1", &body).await;
    ground.put(&keyspace::mileage(), "mileage:James:1", &body).await;
    ground.put(&keyspace::user_settings(), "settings:James", &json!({})).await;
    for key in ["hns:settings:James", "hns:db:James", "hns:session:James"] {
        ground.put(&keyspace::hughesnet(), key, &json!({})).await;
    }
    ground.raw(&keyspace::hughesnet(), "hns:cred:James", &[0, 1], None, None).await;
    ground.put(&keyspace::hughesnet_orders(), "hns:order:1", &json!({ "ownerId": "James" })).await;
    ground.put(&keyspace::users(), "authenticators:James", &json!([{ "id": "c" }])).await;
    ground.raw(&keyspace::logs(), "meta:user:James:monthly_count:2026-01", b"4", None, None).await;
    let told = ground.status("james").await;
    for (name, expected) in [
        ("expense_legacy", 1),
        ("mileage_legacy", 1),
        ("settings_legacy", 1),
        ("hns_legacy", 5),
        ("authenticators_legacy", 1),
        ("meta_legacy", 1),
        ("links_legacy", 2),
    ] {
        assert_eq!(told[name], json!(expected), "{name} in {told:#}");
    }
}
