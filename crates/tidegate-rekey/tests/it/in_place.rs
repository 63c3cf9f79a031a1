//! Records whose key stays.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;
use tidegate_rekey::{InPlaceMemory, Reason};

use crate::watched::Watched;
use crate::world::{MID, START, World, bounds, james, of, put, subject};

#[tokio::test]
async fn the_owner_in_the_body_changes_and_key_end_and_metadata_stay() {
    let world = World::new();
    let text = r#"{"userId": "James", "metadata": {"originalKey": "trip:James:hns_James_d"}, "n": 1.0}"#;
    world
        .write(put("TRASH", "trash:1", text, Some(r#"{"originalKey":"trip:James:1"}"#), Some(START + 99)))
        .await;
    world.put("TRASH", "trash:2", &json!({"userId": "u-1"})).await;
    world.put("TRASH", "trash:3", &json!({"userId": "Bob"})).await;
    let before = world.contents("TRASH").await;
    let dry = world.rekey().dry(&james()).await.unwrap();
    let report = world.apply(&james()).await;
    assert_eq!(dry.counts, report.counts);
    assert_eq!((report.done, of(&report, "trash").scanned, report.migrated), (true, 1, 1));
    let moved = world.get("TRASH", "trash:1").await.unwrap();
    let expected = r#"{"userId": "u-1", "metadata": {"originalKey": "trip:u-1:hns_u-1_d"}, "n": 1.0}"#;
    assert_eq!(std::str::from_utf8(&moved.value).unwrap(), expected);
    assert_eq!(moved.metadata.as_deref(), Some(r#"{"originalKey":"trip:u-1:1"}"#));
    assert_eq!(moved.expires_at.unwrap().0, START + 99);
    let after = world.contents("TRASH").await;
    assert_eq!((&after["trash:2"], &after["trash:3"]), (&before["trash:2"], &before["trash:3"]));
    assert_eq!(world.apply(&james()).await.counts.total().scanned, 0);
}

#[tokio::test]
async fn one_scan_serves_a_cohort_and_each_record_is_read_again() {
    let world = World::with(&[("u-1", &["James"]), ("u-2", &["Bob"])]);
    for (key, user) in [("trash:1", "James"), ("trash:2", "Bob"), ("trash:3", "James")] {
        world.put("TRASH", key, &json!({"userId": user, "updatedAt": MID})).await;
    }
    let rekey = world.rekey();
    let scan = rekey.scan_in_place().await.unwrap();
    // Changed hands since.
    world.put("TRASH", "trash:3", &json!({"userId": "Bob"})).await;
    let bob = subject("u-2", &["Bob"]);
    assert_eq!(rekey.dry_with(&james(), &scan).await.unwrap().migrated, 1);
    assert_eq!(rekey.apply_with(&james(), bounds(), "jane", &scan).await.unwrap().migrated, 1);
    assert_eq!(rekey.apply_with(&bob, bounds(), "jane", &scan).await.unwrap().migrated, 1);
    assert_eq!(world.json("TRASH", "trash:3").await.unwrap(), json!({"userId": "Bob"}));
    assert_eq!(rekey.apply(&bob, bounds(), "jane").await.unwrap().migrated, 1, "the next scan finds it");
}

#[tokio::test]
async fn a_shared_name_in_a_body_is_quarantined_and_one_of_a_third_party_too() {
    let world = World::with(&[("u-1", &["James", "Jim"]), ("u-2", &["james"])]);
    let both = subject("u-1", &["James", "Jim"]);
    world.put("TRASH", "trash:1", &json!({"userId": "James"})).await;
    world.put("TRASH", "trash:2", &json!({"userId": "Jim"})).await;
    world.put("TRASH", "trash:3", &json!({"userId": "Jim", "backup": {"userId": "Eve"}})).await;
    let report = world.apply(&both).await;
    assert_eq!((report.done, report.migrated, report.quarantined.len()), (false, 1, 2));
    assert_eq!(report.quarantined[1].reason, Reason::OtherOwner { named: "Eve".to_owned() });
    assert_eq!(world.json("TRASH", "trash:1").await.unwrap(), json!({"userId": "James"}));
}

#[tokio::test]
async fn a_broken_record_is_an_error_of_whoever_it_names_and_counted_otherwise() {
    let world = World::new();
    world.write(put("TRASH", "trash:1", r#"{"userId":"James","#, None, None)).await;
    world.write(put("TRASH", "trash:2", "%", None, None)).await;
    let report = world.apply(&james()).await;
    assert_eq!((report.done, report.errors.len(), report.unattributed), (false, 1, 1));
    assert_eq!(report.errors[0].key, "trash:1");
    assert!(matches!(report.errors[0].reason, Reason::NotJson { .. }));
    let scan = world.rekey().scan_in_place().await.unwrap();
    assert_eq!(scan.unreadable().count(), 2);
}

#[tokio::test]
async fn a_scan_reads_again_only_what_was_written_since_the_one_before() {
    let world = World::with(&[("u-1", &["James"]), ("u-2", &["Bob"]), ("u-3", &["Cleo"])]);
    for number in 0..300 {
        world.put("TRASH", &format!("trash:{number}"), &json!({"userId": "Bob"})).await;
    }
    world.write(put("TRASH", "trash:broken", r#"{"userId":"Cleo","#, None, None)).await;
    let watched = Arc::new(Watched::new(world.store.clone()));
    let memory = InPlaceMemory::default();
    let rekey = || world.rekey_on(watched.clone()).with_memory(memory.clone());
    let read = || watched.read.swap(0, Ordering::SeqCst);
    rekey().scan_in_place().await.unwrap();
    assert_eq!(read(), 301);
    rekey().scan_in_place().await.unwrap();
    assert_eq!(read(), 1, "what is not JSON is read each time");
    // One changed hands, one is gone and came back as another's, one is gone, one is new.
    world.put("TRASH", "trash:7", &json!({"userId": "James"})).await;
    world.delete("TRASH", "trash:8").await;
    world.put("TRASH", "trash:8", &json!({"userId": "James"})).await;
    world.delete("TRASH", "trash:9").await;
    world.put("TRASH", "trash:new", &json!({"userId": "James"})).await;
    let scan = rekey().scan_in_place().await.unwrap();
    assert_eq!(read(), 4);
    let fresh = world.rekey().scan_in_place().await.unwrap();
    for user in [james(), subject("u-2", &["Bob"]), subject("u-3", &["Cleo"])] {
        let by_memory = rekey().owned_with(&user, &scan).await.unwrap();
        let anew = rekey().owned_with(&user, &fresh).await.unwrap();
        assert_eq!(by_memory, anew, "{user:?}");
    }
    assert_eq!(rekey().apply(&james(), bounds(), "jane").await.unwrap().migrated, 3);
    assert_eq!(
        rekey().apply(&james(), bounds(), "jane").await.unwrap().migrated,
        0,
        "they are another's now"
    );
    // Another memory knows nothing.
    read();
    world.rekey_on(watched.clone()).scan_in_place().await.unwrap();
    assert_eq!(read(), 301);
}

#[tokio::test]
async fn a_scan_reads_few_bodies_at_once_where_they_are_large() {
    const BYTES: usize = 300_000;
    let world = World::new();
    let text = json!({"userId": "Bob", "notes": "x".repeat(BYTES)}).to_string();
    for number in 0..150 {
        world.write(put("TRASH", &format!("trash:{number}"), &text, None, None)).await;
    }
    world.put("TRASH", "trash:last", &json!({"userId": "James"})).await;
    let watched = Arc::new(Watched::new(world.store.clone()));
    let report = world.rekey_on(watched.clone()).apply(&james(), bounds(), "jane").await.unwrap();
    assert_eq!((report.done, of(&report, "trash").migrated), (true, 1));
    let largest = watched.largest.load(Ordering::SeqCst);
    assert!((BYTES..=20 * BYTES).contains(&largest), "{largest} bytes in one answer");
}
