//! Going back to a snapshot.

use serde_json::json;
use trips::keyspace;
use trips::migration::recovery::Extent;

use crate::migration_ground::{Ground, NEW, OLD};

#[tokio::test]
async fn after_an_exact_restore_everything_is_as_it_was_and_the_trail_stays() {
    let ground = Ground::new().await;
    let seeded = trips::shapes::seed(&ground.store, "x", 17, 3).await.unwrap();
    let before = ground.data().await;
    let file = ground.directory.join("pre.json");
    ground.migration.snapshot(&file).await.unwrap();
    let users: Vec<String> = (0..17).map(|n| format!("user{n}")).collect();
    ground.migration.cohort(&users, true, &ground.actor()).await;
    assert_ne!(ground.data().await, before, "the migration did something");
    ground.migration.stop(true, "rolling back", &ground.actor()).await.unwrap();
    let migrations = keyspace::migrations();
    let trail = ground.keys(&migrations, "audit:").await;
    let would = ground.migration.restore(&file, &Extent::Exact, false, &ground.actor()).await.unwrap();
    assert!(would.removed.count > 0 && !would.applied);
    assert_ne!(ground.data().await, before);
    ground.migration.restore(&file, &Extent::Exact, true, &ground.actor()).await.unwrap();
    assert_eq!(ground.data().await, before);
    let after = ground.keys(&migrations, "audit:").await;
    assert!(trail.iter().all(|key| after.contains(key)), "the trail tells of what was undone");
    for user in &seeded {
        let check = ground.app.check_index(&user.id).await.unwrap();
        assert_eq!(check["consistent"], json!(true), "{:?}: {check:#}", user.shape);
    }
    assert!(ground.migration.is_stopped().await.unwrap());
    assert!(ground.keys(&migrations, "migration:").await.iter().all(|key| !key.contains(":ledger:")));
    ground.migration.stop(false, "again", &ground.actor()).await.unwrap();
    let told = ground.run("user0", true).await;
    assert_eq!(told["done"], json!(true), "it can be migrated again: {told:#}");
}

#[tokio::test]
async fn what_is_missing_comes_back_and_nothing_newer_is_touched() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let logs = keyspace::logs();
    for record in ["kept", "lost"] {
        ground.trip(&id, record, OLD).await;
    }
    let file = ground.directory.join("pre.json");
    ground.migration.snapshot(&file).await.unwrap();
    ground.trip(&id, "kept", NEW).await;
    ground.delete(&logs, &format!("trip:{id}:lost")).await;
    ground.trip(&id, "new", NEW).await;
    ground.migration.restore(&file, &Extent::Missing, true, &ground.actor()).await.unwrap();
    let updated =
        async |record: &str| ground.json(&logs, &format!("trip:{id}:{record}")).await["updatedAt"].clone();
    assert_eq!(
        [updated("kept").await, updated("lost").await, updated("new").await],
        [NEW, OLD, NEW].map(|at| json!(at))
    );
    let check = ground.app.check_index(&id).await.unwrap();
    assert_eq!((&check["consistent"], &check["live"]["trip"]), (&json!(true), &json!(3)), "{check:#}");
}

#[tokio::test]
async fn one_user_goes_back_and_the_others_stay() {
    let ground = Ground::new().await;
    let (ana, bo) = (ground.user("ana", "Ana").await, ground.user("bo", "Bo").await);
    for id in [&ana, &bo] {
        ground.trip(id, "t1", OLD).await;
    }
    let file = ground.directory.join("pre.json");
    ground.migration.snapshot(&file).await.unwrap();
    for id in [&ana, &bo] {
        ground.trip(id, "t1", NEW).await;
        ground.trip(id, "t2", NEW).await;
    }
    ground.migration.restore(&file, &Extent::User("ana".to_owned()), true, &ground.actor()).await.unwrap();
    let logs = keyspace::logs();
    assert_eq!(ground.keys(&logs, &format!("trip:{ana}:")).await, [format!("trip:{ana}:t1")]);
    assert_eq!(ground.json(&logs, &format!("trip:{ana}:t1")).await["updatedAt"], json!(OLD));
    assert_eq!(ground.keys(&logs, &format!("trip:{bo}:")).await.len(), 2);
    assert_eq!(ground.json(&logs, &format!("trip:{bo}:t1")).await["updatedAt"], json!(NEW));
}

#[tokio::test]
async fn a_file_with_one_byte_changed_is_refused_before_anything_is_written() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    ground.trip(&id, "t1", OLD).await;
    let file = ground.directory.join("pre.json");
    ground.migration.snapshot(&file).await.unwrap();
    ground.trip(&id, "t2", OLD).await;
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let before = ground.data().await;
    assert!(ground.migration.restore(&file, &Extent::Exact, true, &ground.actor()).await.is_err());
    assert_eq!(ground.data().await, before);
}
