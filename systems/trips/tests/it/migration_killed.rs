//! The store goes away at any operation of an apply, and what it ends with is the same.

use serde_json::json;
use tidegate_store::kv::Kv;
use tidegate_store::kv::watched::{Fault, Plan, Watched};
use trips::App;
use trips::shapes::{self, Seeded};

use crate::migration_ground::{Ground, Standing};

/// Seconds after which the lease of a run that died is over.
const LEASE_SECONDS: i64 = 61;

async fn seeded(users: usize) -> (Ground, Vec<String>) {
    let ground = Ground::new().await;
    let seeded: Vec<Seeded> = shapes::seed(&ground.store, "x", users, 3).await.unwrap();
    let ids = seeded.into_iter().map(|user| user.id).collect();
    (ground, ids)
}

/// Copies all; the results of the last users are errors once the store is gone.
async fn apply(ground: &Ground, store: Kv, ids: &[String]) {
    let app = App::new(store, &|_| None);
    let migration = trips::migration::Migration::new(&app).unwrap();
    for ids in ids.chunks(trips::migration::cohort::USERS_MAX) {
        migration.cohort(ids, true, &ground.actor()).await;
    }
}

async fn data(ground: &Ground) -> Vec<((String, String), Standing)> {
    let data = ground.data().await.into_iter();
    data.map(|((namespace, key), standing)| ((namespace.to_string(), key), standing)).collect()
}

async fn dies_anywhere(users: usize, places: u64) {
    let (whole, ids) = seeded(users).await;
    let watched = Watched::new(whole.store.clone(), Plan::new());
    apply(&whole, watched.clone(), &ids).await;
    let operations = u64::try_from(watched.operations().len()).unwrap();
    assert!(operations > places, "{operations} operations");
    let wanted = data(&whole).await;
    // Places that are spread over all, and at each second one the write was made and its answer lost.
    for place in 0..places {
        let nth = 1 + place * operations / places + (place * 7) % (operations / places);
        let (broken, ids) = seeded(users).await;
        let mut plan = Plan::new();
        if place % 2 == 1 {
            plan = plan.at(nth, Fault::LoseAnswer).at(nth + 1, Fault::Gone);
        } else {
            plan = plan.at(nth, Fault::Gone);
        }
        apply(&broken, Watched::new(broken.store.clone(), plan), &ids).await;
        broken.clock.advance(LEASE_SECONDS);
        apply(&broken, broken.store.clone(), &ids).await;
        let found = data(&broken).await;
        for (wanted, found) in wanted.iter().zip(&found) {
            assert_eq!(wanted, found, "gone at operation {nth} of {operations}");
        }
        assert_eq!(wanted.len(), found.len(), "gone at operation {nth} of {operations}");
        for id in &ids {
            let check = broken.app.check_index(id).await.unwrap();
            assert_eq!(check["consistent"], json!(true), "gone at operation {nth}: {check:#}");
        }
    }
}

#[tokio::test]
async fn a_run_that_dies_at_fifty_places_ends_as_one_that_did_not() {
    dies_anywhere(17, 50).await;
}

#[tokio::test]
async fn soak_a_run_over_a_thousand_users_that_dies_at_fifty_places_ends_as_one_that_did_not() {
    let is_long = std::env::var_os("TIDEGATE_SOAK").is_some();
    dies_anywhere(if is_long { 1_000 } else { 2 }, if is_long { 50 } else { 3 }).await;
}
