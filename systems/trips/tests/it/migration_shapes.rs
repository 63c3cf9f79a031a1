//! The keyspace with everything awkward in it, and what the migration makes of it.

use serde_json::json;
use trips::keyspace;
use trips::shapes::{SHAPES, seed};

use crate::migration_ground::Ground;

#[tokio::test]
async fn the_same_seed_writes_the_same_keys_and_another_one_others() {
    let (one, two, other) = (Ground::new().await, Ground::new().await, Ground::new().await);
    for (ground, number) in [(&one, 5), (&two, 5), (&other, 6)] {
        seed(&ground.store, "x", 40, number).await.unwrap();
    }
    assert_eq!(one.all().await, two.all().await);
    assert_ne!(one.all().await, other.all().await);
}

#[tokio::test]
async fn every_shape_comes_out_as_foretold_and_a_second_run_changes_nothing() {
    let ground = Ground::new().await;
    let seeded = seed(&ground.store, "x", SHAPES.len() * 2, 1).await.unwrap();
    let legacy: Vec<_> = ground.data().await.into_iter().collect();
    let inputs: Vec<String> = seeded.iter().map(|user| user.user_name.clone()).collect();
    let dry = ground.migration.cohort(&inputs, false, &ground.actor()).await;
    let report = ground.migration.cohort(&inputs, true, &ground.actor()).await;
    for user in &seeded {
        let told = &report.results[&user.user_name];
        let sum = |field: &str| -> u64 {
            let counts = told["counts"].as_object().unwrap_or_else(|| panic!("{told:#}"));
            counts.values().map(|of| of[field].as_u64().unwrap()).sum()
        };
        let expected = user.expected;
        let found =
            [sum("migrated"), sum("skippedNewer"), sum("conflicts"), sum("quarantined"), sum("failed")];
        let foretold = [
            expected.migrated,
            expected.skipped_newer,
            expected.conflicts,
            expected.quarantined,
            expected.failed,
        ];
        assert_eq!(found, foretold, "{:?} {}: {told:#}", user.shape, user.user_name);
        assert_eq!(
            dry.results[&user.user_name]["wouldMigrate"],
            json!(expected.migrated),
            "{:?}",
            user.shape
        );
        let is_done = expected.conflicts + expected.quarantined + expected.failed == 0;
        assert_eq!(told["done"], json!(is_done), "{:?}: {told:#}", user.shape);
        let count = ground.json(&keyspace::logs(), &format!("meta:user:{}:trip_count", user.id)).await;
        assert_eq!(count, json!(expected.live_trips), "{:?}", user.shape);
        let check = ground.app.check_index(&user.id).await.unwrap();
        assert_eq!(check["consistent"], json!(true), "{:?}: {check}", user.shape);
    }
    let before = ground.data().await;
    for (at, standing) in legacy {
        let is_in_place =
            at.1.starts_with("trash:") || at.1.starts_with("hns:order:") || at.1.starts_with("credential:");
        let is_of_an_id = seeded.iter().any(|user| at.1.contains(&user.id));
        assert!(
            is_in_place || is_of_an_id || before.get(&at) == Some(&standing),
            "{at:?} is a legacy key and stays"
        );
    }
    ground.migration.cohort(&inputs, true, &ground.actor()).await;
    assert_eq!(ground.data().await, before);
}
