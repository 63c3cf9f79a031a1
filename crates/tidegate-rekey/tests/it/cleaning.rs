//! Legacy keys are removed at the end, and only then.

use tidegate_rekey::{Reason, RekeyError, Resolution, STOP_KEY, State};

use crate::world::{MID, NEW, World, at, james, put, trip};

#[tokio::test]
async fn only_the_legacy_keys_of_who_is_done_are_removed() {
    let world = World::new();
    world.put("LOGS", "trip:James:1", &trip("1", "James", MID)).await;
    world.put("LOGS", "trip:James:2", &trip("2", "eve", MID)).await;
    world.put("LOGS", "trip:Bob:1", &trip("1", "Bob", MID)).await;
    world.put("SETTINGS", "settings:James", &serde_json::json!({})).await;
    world.put("TRASH", "trash:1", &serde_json::json!({"userId": "James"})).await;
    let rekey = world.rekey();
    assert!(matches!(rekey.clean(&james(), "jane").await, Err(RekeyError::NotDone { .. })));
    assert!(!world.apply(&james()).await.done);
    assert!(matches!(rekey.clean(&james(), "jane").await, Err(RekeyError::NotDone { .. })));
    rekey.resolve("u-1", &at("LOGS"), "trip:James:2", Resolution::Leave, "jane", "eve's").await.unwrap();
    assert!(world.apply(&james()).await.done);
    let cleaned = rekey.clean(&james(), "jane").await.unwrap();
    assert_eq!((cleaned.deleted, cleaned.gone, cleaned.kept.len()), (2, 0, 0));
    let keys: Vec<String> = world.contents("LOGS").await.into_keys().collect();
    assert_eq!(keys, ["trip:Bob:1", "trip:James:2", "trip:u-1:1"]);
    assert!(world.get("SETTINGS", "settings:u-1").await.is_some());
    assert!(world.get("SETTINGS", "settings:James").await.is_none());
    assert!(world.get("TRASH", "trash:1").await.is_some());
    let again = rekey.clean(&james(), "jane").await.unwrap();
    assert_eq!((again.deleted, again.gone), (0, 2));
    assert!(world.apply(&james()).await.done);
}

#[tokio::test]
async fn what_a_run_copied_behind_the_judgement_of_a_cleanup_stays() {
    let world = World::new();
    world.put("LOGS", "trip:James:1", &trip("1", "James", MID)).await;
    assert!(world.apply(&james()).await.done);
    let rekey = world.rekey();
    let judged = rekey.state("u-1").await.unwrap().unwrap();
    world.put("LOGS", "trip:James:late", &trip("late", "James", MID)).await;
    assert!(world.apply(&james()).await.done);
    let is_judged = |state: &State| state.migrated == judged.migrated;
    let refused = rekey.clean_where(&james(), "jane", is_judged).await;
    assert!(matches!(&refused, Err(RekeyError::Changed { id }) if id == "u-1"), "{refused:?}");
    for key in ["trip:James:1", "trip:James:late"] {
        assert!(world.get("LOGS", key).await.is_some(), "{key}");
    }
    // A run that copied nothing changes no judgement.
    let judged = rekey.state("u-1").await.unwrap().unwrap();
    assert!(world.apply(&james()).await.done);
    let is_judged = |state: &State| state.migrated == judged.migrated;
    assert_eq!(rekey.clean_where(&james(), "jane", is_judged).await.unwrap().deleted, 2);
}

#[tokio::test]
async fn a_legacy_record_that_was_written_since_is_kept_and_listed() {
    let world = World::new();
    for key in ["trip:James:1", "trip:James:2"] {
        world.put("LOGS", key, &trip("x", "James", MID)).await;
    }
    assert!(world.apply(&james()).await.done);
    world.put("LOGS", "trip:James:1", &trip("x", "James", NEW)).await;
    let cleaned = world.rekey().clean(&james(), "jane").await.unwrap();
    assert_eq!((cleaned.deleted, cleaned.kept.len()), (1, 1));
    assert_eq!(
        (cleaned.kept[0].key.as_str(), &cleaned.kept[0].reason),
        ("trip:James:1", &Reason::ChangedSinceCopied)
    );
    assert!(world.get("LOGS", "trip:James:1").await.is_some());
    assert_eq!(world.apply(&james()).await.migrated, 1);
}

#[tokio::test]
async fn the_stop_key_keeps_legacy_keys_too() {
    let world = World::new();
    world.put("LOGS", "trip:James:1", &trip("1", "James", MID)).await;
    assert!(world.apply(&james()).await.done);
    world.write(put("JOURNAL", STOP_KEY, "{}", None, None)).await;
    let cleaned = world.rekey().clean(&james(), "jane").await.unwrap();
    assert_eq!((cleaned.stopped, cleaned.deleted), (true, 0));
    assert!(world.get("LOGS", "trip:James:1").await.is_some());
}
