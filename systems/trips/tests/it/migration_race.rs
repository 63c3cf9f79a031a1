//! Several at once: runs, and writers of the very records that are copied.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use trips::keyspace;

use crate::migration_ground::{Ground, OLD};

#[tokio::test]
async fn two_runs_at_once_copy_each_record_once() {
    let ground = Arc::new(Ground::new().await);
    let id = ground.user("james", "James").await;
    for record in 0..300 {
        ground.trip("James", &format!("r{record:03}"), OLD).await;
    }
    let mut running = tokio::task::JoinSet::new();
    for _n in 0..4 {
        let ground = ground.clone();
        running.spawn(async move { ground.run("james", true).await });
    }
    let told = running.join_all().await;
    let migrated: u64 = told.iter().filter_map(|told| told["migrated"].as_u64()).sum();
    assert_eq!(migrated, 300, "{told:?}");
    assert!(told.iter().any(|told| told["done"] == json!(true)), "{told:?}");
    let state = ground.json(&keyspace::migrations(), &format!("migration:{id}:state")).await;
    assert_eq!((&state["done"], &state["migrated"]), (&json!(true), &json!(300)));
}

#[tokio::test]
async fn what_is_written_under_the_name_while_a_run_copies_is_never_lost() {
    let ground = Arc::new(Ground::new().await);
    let id = ground.user("james", "James").await;
    for record in 0..20 {
        ground.trip("James", &format!("r{record:02}"), OLD).await;
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (ground, is_over) = (ground.clone(), is_over.clone());
        async move {
            let mut second = 0;
            while !is_over.load(Ordering::SeqCst) {
                second += 1;
                let at = format!(
                    "2026-02-{:02}T09:{:02}:{:02}Z",
                    1 + second / 3_600,
                    second / 60 % 60,
                    second % 60
                );
                ground.trip("James", &format!("r{:02}", second % 20), &at).await;
            }
            second
        }
    });
    for _run in 0..5 {
        ground.run("james", true).await;
    }
    is_over.store(true, Ordering::SeqCst);
    let written = writer.await.unwrap();
    assert!(written > 0);
    let told = ground.run("james", true).await;
    assert_eq!(told["done"], json!(true), "{told:#}");
    for record in 0..20 {
        let last: Value = ground.json(&keyspace::logs(), &format!("trip:James:r{record:02}")).await;
        let moved = ground.json(&keyspace::logs(), &format!("trip:{id}:r{record:02}")).await;
        assert_eq!(moved["updatedAt"], last["updatedAt"], "r{record:02} of {written} writes");
    }
    assert_eq!(ground.app.check_index(&id).await.unwrap()["consistent"], json!(true));
}
