//! An account and everything of it, removed, also when the deletion is cut off.

use serde_json::json;
use tidegate_store::kv::Kv;
use tidegate_store::kv::watched::{Fault, Operation, Plan, Watched};
use trips::{App, deletion, keyspace, shapes, user};

use crate::migration_ground::{Ground, OLD};

/// A user with something in every namespace, under the id and under the name.
async fn furnished(ground: &Ground) -> String {
    let id = ground.user_with("james", "James", json!({ "stripeCustomerId": "c1" })).await;
    for owner in [id.as_str(), "James", "james"] {
        ground.trip(owner, "t1", OLD).await;
        for (namespace, kind) in [(keyspace::expenses(), "expense"), (keyspace::mileage(), "mileage")] {
            ground
                .put(&namespace, &format!("{kind}:{owner}:r1"), &json!({ "id": "r1", "userId": owner }))
                .await;
        }
        for kept in ["settings", "db", "session", "cred"] {
            ground.raw(&keyspace::hughesnet(), &format!("hns:{kept}:{owner}"), b"{}", None, None).await;
        }
        ground.put(&keyspace::user_settings(), &format!("settings:{owner}"), &json!({})).await;
        ground.raw(&keyspace::logs(), &format!("meta:user:{owner}:trip_count"), b"1", None, None).await;
        ground.put(&keyspace::index(), &format!("index:{owner}:head"), &json!({})).await;
        ground.put(&keyspace::trash(), &format!("trash:{owner}"), &json!({ "userId": owner })).await;
        ground
            .put(&keyspace::hughesnet_orders(), &format!("hns:order:{owner}"), &json!({ "ownerId": owner }))
            .await;
        ground.put(&keyspace::users(), &format!("authenticators:{owner}"), &json!([])).await;
    }
    ground.raw(&keyspace::users(), "credential:k1", b"James", None, None).await;
    ground.raw(&keyspace::users(), "stripe:customer:c1", id.as_bytes(), None, None).await;
    ground.raw(&keyspace::users(), "idx:email:james@example.org", id.as_bytes(), None, None).await;
    ground.put(&keyspace::migrations(), &format!("migration:{id}:state"), &json!({ "done": true })).await;
    let account = user::by_id(&ground.app, &id).await.unwrap().unwrap();
    trips::session::begin(&ground.app, &account).await.unwrap();
    trips::token::issue(&ground.app, &id, "mine", &["trips".to_owned()]).await.unwrap();
    id
}

/// Somebody whose keys begin like those of the one who goes.
async fn neighbour(ground: &Ground) -> String {
    let id = ground.user("neighbour", "James:n").await;
    ground.trip("James:n", "t1", OLD).await;
    ground.put(&keyspace::index(), "index:James%3An:head", &json!({})).await;
    ground.raw(&keyspace::logs(), "meta:user:James:n:trip_count", b"1", None, None).await;
    id
}

#[tokio::test]
async fn nothing_is_left_of_a_deleted_account_and_nothing_of_others_is_gone() {
    let ground = Ground::new().await;
    neighbour(&ground).await;
    let before = ground.all().await;
    let id = furnished(&ground).await;
    deletion::delete(&ground.app, &id).await.unwrap();
    assert_eq!(ground.all().await, before);
    deletion::delete(&ground.app, &id).await.unwrap();
}

#[tokio::test]
async fn a_deletion_that_is_cut_off_anywhere_is_taken_up_and_nobody_signs_in_meanwhile() {
    let uncut = {
        let ground = Ground::new().await;
        let id = furnished(&ground).await;
        let watched = Watched::new(ground.store.clone(), Plan::new());
        let store: Kv = watched.clone();
        let app = App::new(store, &|_| None);
        deletion::delete(&app, &id).await.unwrap();
        watched.count(Operation::WriteEach)
    };
    assert!(uncut > 20, "{uncut} writes");
    for nth in 2..=uncut {
        let ground = Ground::new().await;
        let before = ground.all().await;
        let id = furnished(&ground).await;
        let writes = nth;
        let plan = Plan::new().at_the(Operation::WriteEach, writes, Fault::Gone);
        let store: Kv = Watched::new(ground.store.clone(), plan);
        let app = App::new(store, &|_| None);
        let cut = deletion::delete(&app, &id).await;
        if cut.is_err() {
            assert!(deletion::is_under_way(&ground.app, &id).await.unwrap(), "write {nth}");
        }
        let again = App::new(ground.store.clone(), &|_| None);
        deletion::resume_all(&again).await.unwrap();
        assert_eq!(ground.all().await, before, "cut off at write {nth}");
    }
}

#[tokio::test]
async fn many_users_are_seeded_the_same_way_twice() {
    let (one, two) = (Ground::new().await, Ground::new().await);
    shapes::seed(&one.store, "x", 40, 7).await.unwrap();
    shapes::seed(&two.store, "x", 40, 7).await.unwrap();
    assert_eq!(one.all().await, two.all().await);
}

#[tokio::test]
async fn large_records_are_read_a_few_at_a_time_while_an_account_goes() {
    const BYTES: usize = 300_000;
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let body = json!({ "userId": "James", "notes": "x".repeat(BYTES) });
    for number in 0..60 {
        ground.put(&keyspace::logs(), &format!("trip:James:{number}"), &body).await;
        ground.put(&keyspace::trash(), &format!("trash:{number}"), &body).await;
    }
    ground.largest_answer();
    deletion::delete(&ground.app, &id).await.unwrap();
    let largest = ground.largest_answer();
    assert!((BYTES..=20 * BYTES).contains(&largest), "{largest} bytes in one answer");
    assert_eq!(ground.keys(&keyspace::logs(), "trip:").await, Vec::<String>::new());
    assert_eq!(ground.keys(&keyspace::trash(), "").await, Vec::<String>::new());
}
