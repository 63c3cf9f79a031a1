//! Records that end, and records that were removed.

use serde_json::json;
use tidegate_rekey::Reason;

use crate::world::{MID, NEW, START, World, james, of, put, trip};

#[tokio::test]
async fn the_end_and_the_metadata_are_copied_to_the_second_and_the_byte() {
    let world = World::new();
    let tombstone = json!({"id": "1", "userId": "James", "deleted": true, "updatedAt": MID}).to_string();
    let metadata = Some(r#"{"deletedAt" : 1}"#);
    world.write(put("LOGS", "trip:James:1", &tombstone, metadata, Some(START + 10))).await;
    assert!(world.apply(&james()).await.done);
    let moved = world.get("LOGS", "trip:u-1:1").await.unwrap();
    assert_eq!((moved.expires_at.unwrap().0, moved.metadata.as_deref()), (START + 10, metadata));
    world.clock.advance(10);
    assert!(world.get("LOGS", "trip:u-1:1").await.is_none());
    let again = world.apply(&james()).await;
    assert_eq!((again.done, again.counts.total().scanned), (true, 0));
    assert!(world.get("LOGS", "trip:u-1:1").await.is_none(), "it does not come back");
}

#[tokio::test]
async fn a_record_that_has_ended_is_not_created() {
    let world = World::new();
    let body = trip("1", "James", MID).to_string();
    world.write(put("LOGS", "trip:James:1", &body, None, Some(START + 1))).await;
    world.clock.advance(1);
    let report = world.apply(&james()).await;
    assert_eq!((report.done, report.migrated), (true, 0));
    assert!(world.contents("LOGS").await.is_empty());
}

#[tokio::test]
async fn what_was_removed_at_the_new_key_stays_removed() {
    let world = World::new();
    world.put("LOGS", "trip:James:1", &trip("1", "James", MID)).await;
    // Never copied, but known to be there: its removal counts as well.
    world.put("LOGS", "trip:James:2", &trip("2", "James", MID)).await;
    world.put("LOGS", "trip:u-1:2", &trip("2", "u-1", NEW)).await;
    world.put("LOGS", "trip:james:1", &trip("1", "james", MID)).await;
    assert!(world.apply(&james()).await.done);
    world.delete("LOGS", "trip:u-1:1").await;
    world.delete("LOGS", "trip:u-1:2").await;
    let dry = world.rekey().dry(&james()).await.unwrap();
    let report = world.apply(&james()).await;
    assert_eq!(dry.counts, report.counts);
    assert_eq!((report.done, of(&report, "trips").deleted_since), (true, 3));
    assert!(world.get("LOGS", "trip:u-1:1").await.is_none());
    assert!(world.get("LOGS", "trip:u-1:2").await.is_none());
}

#[tokio::test]
async fn a_legacy_record_that_was_written_after_the_removal_is_a_conflict() {
    let world = World::new();
    world.put("LOGS", "trip:James:1", &trip("1", "James", MID)).await;
    assert!(world.apply(&james()).await.done);
    world.delete("LOGS", "trip:u-1:1").await;
    world.put("LOGS", "trip:James:1", &trip("1", "James", NEW)).await;
    // Also under a name that had no such record before.
    world.put("LOGS", "trip:james:1", &trip("1", "james", NEW)).await;
    let report = world.apply(&james()).await;
    assert_eq!((report.done, report.conflicts.len()), (false, 2));
    assert!(report.conflicts.iter().all(|one| one.reason == Reason::ChangedAfterRemoval));
    assert!(world.get("LOGS", "trip:u-1:1").await.is_none());
}
