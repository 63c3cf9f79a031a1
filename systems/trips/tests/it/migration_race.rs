//! Several at once: runs, and writers of the very records that are copied.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use trips::keyspace;
use trips::migration::MigrationError;
use trips::migration::auto::{AutoSettings, DEFAULT_UID};

use crate::masked::{Masked, differences, masked};
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

/// One user with something of each kind under the name.
async fn furnished() -> Arc<Ground> {
    let ground = Arc::new(Ground::new().await);
    ground.user_with_id(DEFAULT_UID, "james", "James", json!({})).await;
    for record in 0..120 {
        ground.trip("James", &format!("r{record:03}"), OLD).await;
    }
    let body = json!({ "id": "e1", "userId": "James", "updatedAt": OLD });
    ground.put(&keyspace::expenses(), "expense:James:e1", &body).await;
    ground.put(&keyspace::trash(), "trash:1", &json!({ "id": "x", "userId": "James" })).await;
    ground.put(&keyspace::user_settings(), "settings:James", &json!({ "theme": "dark" })).await;
    ground.raw(&keyspace::logs(), "meta:user:James:monthly_count:2026-01", b"7", None, None).await;
    ground
        .put(&keyspace::index(), "index:James:head", &json!({ "live": {}, "months": { "2026-01": 7 } }))
        .await;
    ground
}

/// What a run, a sign-in or a cleanup says of the user, where it says something.
async fn do_one(ground: &Ground, what: &str) -> Value {
    match what {
        "apply" => ground.run("james", true).await,
        "sign-in" => {
            let settings = AutoSettings { on: true, uid: DEFAULT_UID.to_owned(), is_production: false };
            match ground.migration.after_sign_in(&settings, DEFAULT_UID).await {
                Ok(outcome) => json!(format!("{outcome:?}")),
                // Another one has the lease.
                Err(MigrationError::Rekey(error)) => json!({ "error": error.to_string() }),
                Err(error) => panic!("{error}"),
            }
        }
        _ => {
            let users = ["james".to_owned()];
            ground.migration.cleanup(&users, true, &ground.actor()).await.unwrap().1["james"].clone()
        }
    }
}

const ALL: [&str; 4] = ["apply", "apply", "sign-in", "cleanup"];

/// All of the store, but not whether the sign-in was the one that ran.
async fn ended(ground: &Ground) -> Masked {
    let check = ground.app.check_index(DEFAULT_UID).await.unwrap();
    assert_eq!(check["consistent"], json!(true), "{check:#}");
    // An index that was made while another one had the lease is made again for the next list.
    ground.app.repair_index(DEFAULT_UID, &[]).await.unwrap();
    let mut all = masked(&ground.store, true).await;
    all.retain(|place, _| !place.ends_with(":auto:lastAttempt"));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_a_sign_in_and_a_cleanup_at_once_end_as_they_do_one_after_the_other() {
    const WAIT: i64 = 91 * 86_400;
    let whole = furnished().await;
    for what in ALL {
        do_one(&whole, what).await;
    }
    let moved = ended(&whole).await;
    whole.clock.advance(WAIT);
    for what in ALL {
        do_one(&whole, what).await;
    }
    let cleaned = ended(&whole).await;
    assert!(whole.keys(&keyspace::logs(), "trip:James:").await.is_empty(), "the cleanup did something");

    for round in 0..10 {
        let ground = furnished().await;
        for (wanted, when) in [(&moved, "while nothing is copied"), (&cleaned, "once all was")] {
            let mut running = tokio::task::JoinSet::new();
            for place in 0..ALL.len() {
                // Another one begins in each round.
                let (ground, what) = (ground.clone(), ALL[(place + round) % ALL.len()]);
                running.spawn(async move { (what, do_one(&ground, what).await) });
            }
            let told = running.join_all().await;
            // Whoever found another one at it is asked again.
            for what in ["apply", "sign-in", "cleanup"] {
                if told.iter().any(|(known, value)| *known == what && value["error"].is_string()) {
                    do_one(&ground, what).await;
                }
            }
            let found = ended(&ground).await;
            let differing = differences(wanted, &found);
            assert!(differing.is_empty(), "round {round}, {when}: {told:#?}\n{}", differing.join("\n"));
            ground.clock.advance(WAIT);
        }
    }
}
