//! What stands beside the records: counts, passkeys, links to a user.

use serde_json::json;
use trips::keyspace;

use crate::migration_ground::{Ground, OLD};

#[tokio::test]
async fn a_months_count_is_the_greater_one_and_other_counters_are_computed() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let logs = keyspace::logs();
    for (key, value) in [
        ("meta:user:James:monthly_count:2026-01".to_owned(), "7"),
        ("meta:user:James:monthly_count:2026-02".to_owned(), "3"),
        (format!("meta:user:{id}:monthly_count:2026-02"), "5"),
        ("meta:user:James:trip_count".to_owned(), "99"),
        ("meta:user:a-token:trip_count".to_owned(), "98"),
        ("meta:user:James:monthly_count:other".to_owned(), "4"),
    ] {
        ground.raw(&logs, &key, value.as_bytes(), None, None).await;
    }
    ground.trip("James", "t1", OLD).await;
    assert_eq!(ground.status("james").await["meta_legacy"], json!(1));
    let told = ground.run("james", true).await;
    assert_eq!(told["meta"], json!({ "found": 2, "carried": 1 }), "{told:#}");
    let count = async |name: &str| ground.json(&logs, &format!("meta:user:{id}:{name}")).await;
    assert_eq!(count("monthly_count:2026-01").await, json!(7));
    assert_eq!(count("monthly_count:2026-02").await, json!(5));
    assert_eq!(count("monthly_count:other").await, json!(null));
    assert_eq!(count("trip_count").await, json!(1), "the live trips, whatever a counter said");
    assert_eq!(ground.status("james").await["meta_legacy"], json!(0));
}

#[tokio::test]
async fn quotas_of_an_index_under_a_name_are_taken_over_and_it_goes_with_the_cleanup() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let index = keyspace::index();
    let head = |months: serde_json::Value| json!({ "live": {}, "months": months });
    ground.put(&index, "index:James:head", &head(json!({ "2026-01": 7, "2026-02": 1 }))).await;
    ground.put(&index, "index:James:trip:t1", &json!({ "id": "t1" })).await;
    ground.put(&index, &format!("index:{id}:head"), &head(json!({ "2026-02": 5 }))).await;
    ground.trip("James", "t1", OLD).await;
    ground.trip(&id, "t2", OLD).await;
    let told = ground.run("james", true).await;
    assert_eq!(told["doRepair"]["repaired"], json!(true), "{told:#}");
    let kept = ground.json(&index, &format!("index:{id}:head")).await;
    assert_eq!(kept["months"], json!({ "2026-02": 5, "2026-01": 7 }));
    let check = ground.app.check_index(&id).await.unwrap();
    assert_eq!((&check["consistent"], &check["tripCount"]), (&json!(true), &json!(2)), "{check}");
    assert_eq!(ground.keys(&index, "index:James:").await.len(), 2);
    ground.clock.advance(91 * 86_400);
    let cleaned = ground.migration.cleanup(&["james".to_owned()], true, &ground.actor()).await.unwrap();
    assert!(cleaned.0, "{cleaned:?}");
    assert!(ground.keys(&index, "index:James:").await.is_empty());
    assert_eq!(ground.keys(&index, &format!("index:{id}:")).await.len(), 3);
}

#[tokio::test]
async fn an_index_that_cannot_be_written_leaves_the_user_marked_and_the_next_repair_heals() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    ground.trip("James", "t1", OLD).await;
    ground.refuse_writes_to(&keyspace::index());
    let report = ground.cohort(&["james"], true).await;
    assert!(!report.success);
    let told = &report.results["james"];
    assert_eq!((&told["done"], &told["doRepair"]["repaired"]), (&json!(true), &json!(false)), "{told:#}");
    let state = ground.json(&keyspace::migrations(), &format!("migration:{id}:do:state")).await;
    assert!(state["done"] == json!(false) && state["error"].is_string(), "{state}");
    let check = ground.app.check_index(&id).await.unwrap();
    assert_eq!((&check["dirty"], &check["consistent"]), (&json!(true), &json!(false)));
    ground.allow_writes();
    let (success, results) = ground.migration.indexes(&["james".to_owned()], true, &ground.actor()).await;
    assert!(success, "{results:?}");
    assert_eq!(results["james"]["check"]["consistent"], json!(true), "{results:?}");
}

#[tokio::test]
async fn passkeys_and_the_customer_number_lead_to_the_id() {
    let ground = Ground::new().await;
    let more = json!({ "stripeCustomerId": "cus_1", "authenticators": [{ "credentialID": "c2" }] });
    let id = ground.user_with("james", "James", more).await;
    let users = keyspace::users();
    let passkeys = json!([{ "credentialID": "c1", "counter": 7 }]);
    ground.put(&users, "authenticators:James", &passkeys).await;
    ground.raw(&users, "credential:c1", b"James", None, None).await;
    ground.raw(&users, "idx:credential:c2", b"\"James\"", None, None).await;
    assert_eq!(ground.status("james").await["authenticators_legacy"], json!(1));
    let told = ground.run("james", true).await;
    assert_eq!(told["done"], json!(true), "{told:#}");
    assert_eq!(ground.json(&users, &format!("authenticators:{id}")).await, passkeys);
    let text =
        async |key: &str| String::from_utf8(ground.entry(&users, key).await.unwrap().value.to_vec()).unwrap();
    for key in ["credential:c1", "idx:credential:c1", "credential:c2", "stripe:customer:cus_1"] {
        assert_eq!(text(key).await, id, "{key}");
    }
    assert_eq!(text("idx:credential:c2").await, format!("\"{id}\""), "a JSON text stays one");
}

#[tokio::test]
async fn a_link_to_somebody_else_is_left_and_told() {
    let ground = Ground::new().await;
    let id = ground.user_with("james", "James", json!({ "stripeCustomerId": "cus_1" })).await;
    let users = keyspace::users();
    ground.raw(&users, "stripe:customer:cus_1", b"somebody", None, None).await;
    let report = ground.cohort(&["james"], true).await;
    assert!(!report.success);
    assert_eq!(report.results["james"]["links"]["ofOthers"], json!(["stripe:customer:cus_1"]));
    let entry = ground.entry(&users, "stripe:customer:cus_1").await.unwrap();
    assert_eq!((entry.value.as_ref(), id.is_empty()), (b"somebody".as_slice(), false));
}

#[tokio::test]
async fn passkeys_that_stand_under_the_id_already_are_untouched() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let users = keyspace::users();
    ground.put(&users, "authenticators:James", &json!([{ "credentialID": "old" }])).await;
    ground.put(&users, &format!("authenticators:{id}"), &json!([{ "credentialID": "new" }])).await;
    let told = ground.run("james", true).await;
    assert_eq!(told["done"], json!(false), "two different lists are left to people: {told:#}");
    assert_eq!(ground.json(&users, &format!("authenticators:{id}")).await[0]["credentialID"], json!("new"));
}
