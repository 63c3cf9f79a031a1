//! What the service does with records before and after they were moved.

use serde_json::{Value, json};
use trips::keyspace;
use trips::migration::auto::AutoSettings;

use crate::migration_ground::{Ground, NEW, OLD};
use crate::migration_service::Service;

fn ids(list: &Value) -> Vec<&str> {
    let mut ids: Vec<&str> =
        list.as_array().unwrap().iter().map(|record| record["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn lists_are_the_same_before_and_after_and_with_dual_reading_off() {
    let service = Service::new(Ground::new().await).await;
    let james = service.sign_up("james", "James").await;
    let ground = &service.ground;
    ground.trip("James", "t1", OLD).await;
    ground.trip("James", "t2", OLD).await;
    ground.trip(&james.id, "t2", NEW).await;
    ground.trip(&james.id, "t3", OLD).await;
    let list = async || {
        let answer = service.get("/api/trips", &james.cookie).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let mut list = answer.body["trips"].clone();
        if list.is_null() {
            list = answer.body["records"].clone();
        }
        list
    };
    let before = list().await;
    assert_eq!(ids(&before), ["t1", "t2", "t3"]);
    assert!(before.as_array().unwrap().iter().all(|trip| trip["userId"] == json!(james.id)), "{before:#}");
    assert_eq!(ground.run("james", true).await["done"], json!(true));
    assert_eq!(list().await, before);
    ground.migration.dual_read(false, &[], &ground.actor()).await.unwrap();
    assert_eq!(list().await, before, "nothing is read at the name any more, and nothing is missing");
}

#[tokio::test]
async fn a_tombstone_that_was_moved_comes_back_under_the_id_only() {
    let service = Service::new(Ground::new().await).await;
    let james = service.sign_up("james", "James").await;
    let ground = &service.ground;
    let old = "hns_James_2026-01-05";
    let tombstone = json!({
        "id": old, "userId": "James", "deleted": true, "deletedAt": NEW, "deletedBy": "James",
        "metadata": { "originalKey": format!("trip:James:{old}") },
        "backup": trips::shapes::trip(old, "James", OLD), "createdAt": OLD, "updatedAt": NEW,
    });
    ground.put(&keyspace::logs(), &format!("trip:James:{old}"), &tombstone).await;
    assert_eq!(ground.run("james", true).await["done"], json!(true));
    let new = format!("hns_{}_2026-01-05", james.id);
    let answer = service.bare_post(&format!("/api/trips/{new}/restore"), &james.cookie, "").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let stored = ground.json(&keyspace::logs(), &format!("trip:{}:{new}", james.id)).await;
    assert_eq!(
        (&stored["id"], &stored["userId"], &stored["deleted"]),
        (&json!(new), &json!(james.id), &Value::Null)
    );
    let left = ground.keys(&keyspace::logs(), "trip:James:").await;
    assert_eq!(left, Vec::<String>::new(), "its copy under the name would be a tombstone of a live record");
}

#[tokio::test]
async fn what_is_deleted_for_good_after_the_migration_stays_away() {
    let service = Service::new(Ground::new().await).await;
    let james = service.sign_up("james", "James").await;
    let ground = &service.ground;
    ground.trip("James", "t1", OLD).await;
    ground.trip("James", "t2", OLD).await;
    ground.run("james", true).await;
    let answer = service.delete("/api/trips/t1?permanent=true", &james.cookie).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    for _time in 0..2 {
        let list = service.get("/api/trips", &james.cookie).await;
        assert!(list.text.contains("\"t2\"") && !list.text.contains("\"t1\""), "{}", list.text);
        assert_eq!(service.get("/api/trips/t1", &james.cookie).await.status, 404);
        ground.run("james", true).await;
        ground.app.repair_index(&james.id, &[]).await.unwrap();
    }
    // A tombstone that ends by itself takes its legacy copy's place, too.
    assert_eq!(service.delete("/api/trips/t2", &james.cookie).await.status, 200);
    ground.clock.advance(31 * 86_400);
    let again = service.session_of(james.id.clone()).await;
    let list = service.get("/api/trips", &again.cookie).await;
    assert!(!list.text.contains("\"t2\""), "{}", list.text);
    ground.run("james", true).await;
    assert!(ground.keys(&keyspace::logs(), &format!("trip:{}:", james.id)).await.is_empty());
}

#[tokio::test]
async fn an_account_that_is_deleted_after_the_migration_leaves_no_key() {
    let ground = Ground::new().await;
    let seeded = trips::shapes::seed(&ground.store, "x", 17, 2).await.unwrap();
    for user in &seeded {
        // One whose name is somebody else's, too, cannot be told from the other one's.
        if user.name.starts_with("Shared") || user.name.contains(":log:") || user.user_name == "user1" {
            continue;
        }
        // An attempt of a sign-in is noted, too.
        let settings = AutoSettings { on: true, uid: user.id.clone(), is_production: false };
        ground.migration.after_sign_in(&settings, &user.id).await.unwrap();
        ground.run(&user.user_name, true).await;
        let journal = ground.keys(&keyspace::migrations(), &format!("migration:{}:", user.id)).await;
        assert!(journal.len() > 2, "{:?}: {journal:?}", user.shape);
        trips::deletion::delete(&ground.app, &user.id).await.unwrap();
        for ((namespace, key), (value, ..)) in ground.all().await {
            // The trail alone stays.
            if namespace == keyspace::migrations() && key.starts_with("audit:") {
                continue;
            }
            let is_somebody_elses =
                user.shape == trips::shapes::Shape::WrongOwner && key.ends_with(":not-mine");
            let parts: Vec<&str> = key.split(':').collect();
            let is_named = parts.contains(&user.name.as_str()) || parts.contains(&user.user_name.as_str());
            assert!(!is_named || is_somebody_elses, "{:?} leaves {namespace} {key}", user.shape);
            assert!(!key.contains(&user.id), "{:?} leaves {namespace} {key}", user.shape);
            let text = String::from_utf8_lossy(&value).into_owned();
            assert!(!text.contains(&user.id), "{:?} leaves {namespace} {key}: {text}", user.shape);
        }
    }
}
