//! What a restore does not bring back: writes that are held on the database itself; and what instances tell about SQL
//! that names a table which is gone.

use serde_json::json;
use testkit::eventually;

use crate::ground::{BOUND, Town};
use crate::operators::program;

/// A setting of this database, such as `SET x = 'y'`.
async fn set(town: &Town, change: &str) {
    let name = town.ground.database.name();
    town.ground.database.execute(&format!("ALTER DATABASE \"{name}\" {change}")).await;
}

/// What an operator is told.
async fn status(town: &Town) -> String {
    let outcome = program(&town.ground).arg("status").run(BOUND).await.unwrap();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    outcome.stdout
}

#[tokio::test]
async fn writes_that_are_held_on_the_database_are_refused_and_reads_go_on() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    let item = |id: &str| json!({ "id": id, "objectType": "file", "encryptedSessionKey": "k" });
    ada.post("/v1/vfs/register", item("before")).await.good();
    set(&town, "SET vfs.frozen_until = '2999-01-01 00:00:00+00'").await;
    let held = ada.post("/v1/vfs/register", item("held")).await;
    assert_eq!(held.refusal(), (503, "Writes are frozen"));
    assert!(held.header("retry-after").is_some());
    ada.get("/v1/vfs/crdt/sync").await.good();
    let told = status(&town).await;
    assert!(
        told.contains("writes: held back by the database itself until 2999-01-01T00:00:00.000Z"),
        "{told}"
    );
    assert!(!told.contains("writes: let in"), "{told}");
    // It ends by itself, and by being taken away.
    set(&town, "SET vfs.frozen_until = '2020-01-01 00:00:00+00'").await;
    ada.post("/v1/vfs/register", item("over")).await.good();
    set(&town, "SET vfs.frozen_until = '2999-01-01 00:00:00+00'").await;
    set(&town, "RESET vfs.frozen_until").await;
    let told = status(&town).await;
    assert!(told.contains("writes: let in") && !told.contains("held back"), "{told}");
    ada.post("/v1/vfs/register", item("after")).await.good();
}

#[tokio::test]
async fn an_instance_tells_how_often_its_sql_named_a_table_that_is_not_there() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    let told = "SELECT coalesce(sum(missing_table_errors), 0) FROM vfs_instances";
    ada.get("/v1/vfs/crdt/sync").await.good();
    assert_eq!(town.ground.text(told).await, "0");
    town.ground.database.execute("ALTER TABLE vfs_crdt_ops RENAME TO renamed").await;
    let failed = ada.get("/v1/vfs/crdt/sync").await;
    assert_eq!(failed.refusal(), (500, "Failed to sync VFS CRDT operations"));
    town.ground.database.execute("ALTER TABLE renamed RENAME TO vfs_crdt_ops").await;
    eventually("an instance tells of it", BOUND, || async {
        (town.ground.text(told).await != "0").then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn while_the_lock_of_all_writes_is_held_writes_are_refused_at_once_and_reads_go_on() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    let item = |id: &str| json!({ "id": id, "objectType": "file", "encryptedSessionKey": "k" });
    let mut migration = town.ground.database.client().await;
    let holding = migration.transaction().await.unwrap();
    holding.batch_execute("SELECT pg_advisory_xact_lock(7337001)").await.unwrap();
    let started = std::time::Instant::now();
    // More than an instance has sessions.
    let ids: Vec<String> = (0..40).map(|n| format!("held-{n}")).collect();
    let writes = ids.iter().map(|id| ada.post("/v1/vfs/register", item(id)));
    let (held, read) = tokio::join!(futures_util::future::join_all(writes), ada.get("/v1/vfs/crdt/sync"));
    read.good();
    for answer in held {
        assert_eq!(answer.refusal(), (503, "Writes are held back for a moment"));
        assert!(answer.header("retry-after").is_some());
    }
    let took = started.elapsed();
    assert!(took < std::time::Duration::from_secs(4), "nothing was waited for: {took:?}");
    holding.commit().await.unwrap();
    ada.post("/v1/vfs/register", item("after")).await.good();
}

#[tokio::test]
async fn writes_that_wait_for_each_other_leave_sessions_to_reads() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    ada.register("file").await;
    let mut other = town.ground.database.client().await;
    let holding = other.transaction().await.unwrap();
    holding.batch_execute("SELECT FROM vfs_registry WHERE id = 'file' FOR UPDATE").await.unwrap();
    let body = json!({ "shareType": "user", "targetId": "ada", "permissionLevel": "view" });
    let writes: Vec<_> = (0..40)
        .map(|_| {
            let (ada, body) = (ada.clone(), body.clone());
            tokio::spawn(async move { ada.post("/v1/vfs/items/file/shares", body).await })
        })
        .collect();
    eventually("the writes wait", BOUND, || async {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        (town.ground.text(waiting).await.parse::<i64>().unwrap() >= 12).then_some(())
    })
    .await
    .unwrap();
    let started = std::time::Instant::now();
    for _ in 0..4 {
        ada.get("/v1/vfs/crdt/sync").await.good();
    }
    let took = started.elapsed();
    assert!(took < std::time::Duration::from_secs(2), "{took:?}");
    holding.rollback().await.unwrap();
    for write in writes {
        write.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_works_on_eight_large_bodies_at_a_time() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    let mut other = town.ground.database.client().await;
    let holding = other.transaction().await.unwrap();
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended('vfs_crdt_feed:ada', 0))";
    holding.batch_execute(lock).await.unwrap();
    let at_one = crate::ground::Asker { bases: vec![town.services[0].base.clone()], ..ada.clone() };
    let body = json!({ "clientId": "a", "operations": [], "filling": "x".repeat(300 << 10) });
    let pushes: Vec<_> = (0..12)
        .map(|_| {
            let (asker, body) = (at_one.clone(), body.clone());
            tokio::spawn(async move { asker.post("/v1/vfs/crdt/push", body).await.status })
        })
        .collect();
    let mut statuses = Vec::new();
    for push in pushes {
        statuses.push(push.await.unwrap());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 4, "{statuses:?}");
    holding.rollback().await.unwrap();
    at_one.post("/v1/vfs/crdt/push", body).await.good();
}
