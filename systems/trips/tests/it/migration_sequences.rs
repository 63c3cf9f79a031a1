//! Sequences that once lost a record, gave it to two, or stopped everybody.

use serde_json::json;
use tidegate_rekey::Resolution;
use trips::migration::recovery::Extent;
use trips::reading::Reader;
use trips::record::{self, Kind};
use trips::{deletion, keyspace, user};

use crate::migration_ground::{Ground, NEW, OLD};

async fn reader(ground: &Ground, id: &str) -> Reader {
    let account = user::by_id(&ground.app, id).await.unwrap().unwrap();
    Reader::new(&ground.app, id, &account.value()).await.unwrap()
}

#[tokio::test]
async fn a_record_that_was_deleted_after_the_copy_comes_back_with_its_user() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    ground.user("longer", "James:b").await;
    ground.trip("James", "t1", OLD).await;
    ground.trip("James:b", "t2", OLD).await;
    let path = ground.directory.join("before.jsonl");
    ground.migration.snapshot(&path).await.unwrap();
    assert_eq!(ground.run("james", true).await["migrated"], json!(1));
    record::delete(&ground.app, &reader(&ground, &id).await, Kind::Trip, "t1").await.unwrap();
    ground.delete(&keyspace::logs(), "trip:James:b:t2").await;
    let of = Extent::User(id.clone());
    ground.migration.restore(&path, &of, true, &ground.actor()).await.unwrap();
    let body = reader(&ground, &id).await.get(&ground.app, Kind::Trip, "t1").await.unwrap();
    assert_eq!((&body["id"], &body["deleted"]), (&json!("t1"), &serde_json::Value::Null));
    assert!(ground.entry(&keyspace::logs(), "trip:James:b:t2").await.is_none(), "another's is not put back");
}

#[tokio::test]
async fn a_decision_that_is_corrected_gives_a_record_to_one_user_only() {
    let ground = Ground::new().await;
    let james = ground.user("james", "James").await;
    let (bob, carol) = (ground.user("bob", "Bob").await, ground.user("carol", "Carol").await);
    let body = json!({ "id": "t9", "userId": bob, "updatedAt": OLD });
    ground.put(&keyspace::logs(), "trip:James:t9", &body).await;
    ground.run("james", true).await;
    let (logs, actor) = (keyspace::logs(), ground.actor());
    for to in [&bob, &carol] {
        let give = Resolution::Give { to_id: to.clone() };
        ground
            .migration
            .resolve(&james, logs.as_str(), "trip:James:t9", give, "looked at", &actor)
            .await
            .unwrap();
    }
    for user in ["bob", "carol", "james"] {
        ground.run(user, true).await;
    }
    assert!(
        ground.entry(&logs, &format!("trip:{bob}:t9")).await.is_none(),
        "the first decision no longer holds"
    );
    assert!(ground.entry(&logs, &format!("trip:{carol}:t9")).await.is_some());
}

#[tokio::test]
async fn somebody_with_many_former_names_is_migrated_and_stops_nobody() {
    let ground = Ground::new().await;
    let id = ground.user("james", "Jim").await;
    let mut refused = false;
    for number in 0..12 {
        refused |= user::change_name(&ground.app, &id, &format!("Name {number}")).await.is_err();
    }
    assert!(refused, "names of before are looked at for ever, so there is a bound");
    assert_eq!(ground.run("james", true).await["done"], json!(true));
    ground.migration.coverage().await.unwrap();
    let many: Vec<String> = (0..40).map(|number| format!("Old {number}")).collect();
    ground.user_with("eve", "Eve", json!({ "formerNames": many })).await;
    let coverage = ground.migration.coverage().await.unwrap();
    assert_eq!(coverage.unreadable.len(), 1, "it is named, and the others are counted");
}

#[tokio::test]
async fn what_a_user_changed_after_the_copy_outlives_a_copy_with_a_clock_that_runs_ahead() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let ahead = json!({ "theme": "dark", "updatedAt": "2030-01-01T00:00:00Z" });
    ground.put(&keyspace::user_settings(), "settings:James", &ahead).await;
    ground.run("james", true).await;
    let changed = json!({ "theme": "light", "updatedAt": NEW });
    ground.put(&keyspace::user_settings(), &format!("settings:{id}"), &changed).await;
    ground.trip("James", "late", OLD).await;
    ground.run("james", true).await;
    assert_eq!(ground.json(&keyspace::user_settings(), &format!("settings:{id}")).await, changed);
}

#[tokio::test]
async fn a_deletion_leaves_what_stands_under_the_name_and_names_somebody_else() {
    let ground = Ground::new().await;
    let (james, bob) = (ground.user("james", "James").await, ground.user("bob", "Bob").await);
    ground.trip("James", "own", OLD).await;
    ground
        .put(&keyspace::logs(), "trip:James:t9", &json!({ "id": "t9", "userId": bob, "updatedAt": OLD }))
        .await;
    deletion::delete(&ground.app, &james).await.unwrap();
    assert_eq!(ground.keys(&keyspace::logs(), "trip:").await, ["trip:James:t9"]);
}
