//! Which of two records counts.

use serde_json::{Value, json};
use tidegate_rekey::Reason;

use crate::world::{MID, NEW, OLD, World, at, bounds, james, of, put, texts, trip};

/// What a case expects: migrated, identical, skipped, conflicts.
async fn expect(legacy: Value, there: Option<&str>, numbers: [u64; 4], reason: Option<Reason>) {
    let world = World::new();
    world.put("LOGS", "trip:James:1", &legacy).await;
    if let Some(there) = there {
        world.write(put("LOGS", "trip:u-1:1", there, None, None)).await;
    }
    let before = world.data().await;
    let dry = world.rekey().dry(&james()).await.unwrap();
    assert_eq!(world.data().await, before, "a dry run changes no record");
    let report = world.apply(&james()).await;
    assert_eq!(dry.counts, report.counts, "{legacy} over {there:?}");
    let trips = of(&report, "trips");
    assert_eq!(
        [trips.migrated, trips.identical, trips.skipped_newer, trips.conflicts],
        numbers,
        "{legacy} over {there:?}"
    );
    assert_eq!(trips.scanned, 1);
    assert_eq!(report.done, reason.is_none());
    assert_eq!(report.conflicts.first().map(|one| one.reason.clone()), reason);
    let after = world.data().await;
    assert_eq!(after["LOGS"]["trip:James:1"], before["LOGS"]["trip:James:1"], "the legacy record stays");
    if numbers[0] == 0 {
        assert_eq!(after, before);
    } else {
        let mut expected = legacy.clone();
        expected["userId"] = json!("u-1");
        assert_eq!(world.json("LOGS", "trip:u-1:1").await, Some(expected));
    }
    let saved = world.store.list_all(&at("JOURNAL"), "migration:u-1:recovery:", 10).await.unwrap();
    assert_eq!(saved.len(), usize::from(numbers[0] == 1 && there.is_some()));
    let again = world.apply(&james()).await;
    assert_eq!(again.migrated, 0);
    assert_eq!(world.data().await, after, "a second run writes nothing");
}

#[tokio::test]
async fn the_newer_of_two_records_counts_and_no_clock_is_no_licence_to_overwrite() {
    let tombstone = |updated: &str| json!({"id": "1", "userId": "James", "deleted": true, "updatedAt": updated, "backup": null});
    for legacy in [trip("1", "James", MID), tombstone(MID)] {
        let moved = |updated: &str| {
            let mut there = trip("1", "u-1", updated);
            there["note"] = json!("of the new key");
            there.to_string()
        };
        let mut same = legacy.clone();
        same["userId"] = json!("u-1");
        let mut without = legacy.clone();
        without["updatedAt"] = json!("when it rained");
        expect(legacy.clone(), None, [1, 0, 0, 0], None).await;
        expect(legacy.clone(), Some(&moved(OLD)), [1, 0, 0, 0], None).await;
        expect(legacy.clone(), Some(&moved(NEW)), [0, 0, 1, 0], None).await;
        expect(legacy.clone(), Some(&same.to_string()), [0, 1, 0, 0], None).await;
        expect(legacy.clone(), Some(&format!(" {same} ")), [0, 1, 0, 0], None).await;
        let equal = Some(Reason::SameClockDifferentBytes);
        expect(legacy.clone(), Some(&moved(MID)), [0, 0, 0, 1], equal).await;
        expect(without, Some(&moved(OLD)), [0, 0, 0, 1], Some(Reason::NoClock)).await;
        expect(legacy.clone(), Some("{}"), [0, 0, 0, 1], Some(Reason::NoClock)).await;
        let broken = serde_json::from_str::<Value>("{").unwrap_err().to_string();
        let broken = Some(Reason::DestinationNotJson { message: broken });
        expect(legacy, Some("{"), [0, 0, 0, 1], broken).await;
    }
}

#[tokio::test]
async fn a_newer_removal_beats_an_older_record_and_an_older_one_does_not() {
    for (removed, kept) in [(NEW, MID), (OLD, MID)] {
        let world = World::new();
        let tombstone = json!({"id": "1", "userId": "James", "deleted": true, "updatedAt": removed});
        world.put("LOGS", "trip:James:1", &tombstone).await;
        world.put("LOGS", "trip:u-1:1", &trip("1", "u-1", kept)).await;
        assert!(world.apply(&james()).await.done);
        let stands = world.json("LOGS", "trip:u-1:1").await.unwrap();
        assert_eq!(stands["deleted"] == json!(true), removed == NEW);
    }
}

#[tokio::test]
async fn of_one_record_under_several_names_the_newest_counts_and_all_names_are_visited() {
    for (exact, lower) in [(OLD, NEW), (NEW, OLD)] {
        let world = World::new();
        world.put("LOGS", "trip:James:1", &trip("1", "James", exact)).await;
        world.put("LOGS", "trip:james:1", &trip("1", "james", lower)).await;
        world.put("LOGS", "trip:james:2", &trip("2", "james", OLD)).await;
        let dry = world.rekey().dry(&james()).await.unwrap();
        let report = world.apply(&james()).await;
        assert!(report.done, "{report:?}");
        assert_eq!(dry.counts, report.counts, "a dry run sees what it would have written");
        assert_eq!(of(&report, "trips").scanned, 3);
        assert_eq!(world.json("LOGS", "trip:u-1:1").await.unwrap(), trip("1", "u-1", NEW));
        assert!(world.get("LOGS", "trip:u-1:2").await.is_some());
        assert_eq!(of(&report, "trips").migrated, if lower == NEW { 3 } else { 2 });
    }
}

#[tokio::test]
async fn what_is_overwritten_is_saved_each_time() {
    let world = World::new();
    world
        .write(put("LOGS", "trip:u-1:1", &trip("1", "u-1", OLD).to_string(), Some(r#"{"v":1}"#), None))
        .await;
    world.put("LOGS", "trip:James:1", &trip("1", "James", MID)).await;
    world.put("LOGS", "trip:james:1", &trip("1", "james", NEW)).await;
    let report = world.apply(&james()).await;
    assert_eq!(report.migrated, 2);
    let mut saved = Vec::new();
    for (key, (value, ..)) in world.contents("JOURNAL").await {
        if key.contains(":recovery:") {
            saved.push(serde_json::from_slice::<Value>(&value).unwrap());
        }
    }
    assert_eq!(saved.len(), 2);
    assert!(
        saved.iter().any(|one| one["metadata"] == json!(r#"{"v":1}"#) && one["key"] == json!("trip:u-1:1"))
    );
}

#[tokio::test]
async fn an_opaque_record_is_copied_byte_for_byte_and_never_over_another_one() {
    let world = World::new();
    let secret = [0xff_u8, 0, 1, b'{'];
    let mut write = put("HNS", "hns:cred:James", "", Some(r#"{"iv":"x"}"#), None);
    write.change = tidegate_store::kv::Change::Put {
        value: bytes::Bytes::copy_from_slice(&secret),
        metadata: Some(r#"{"iv":"x"}"#.to_owned()),
        expires_at: None,
    };
    world.write(write).await;
    assert!(world.apply(&james()).await.done);
    let copied = world.get("HNS", "hns:cred:u-1").await.unwrap();
    assert_eq!((&copied.value[..], copied.metadata.as_deref()), (&secret[..], Some(r#"{"iv":"x"}"#)));
    // It is changed there: what came from the legacy record once is in conflict with it never again.
    world.write(put("HNS", "hns:cred:u-1", "another", None, None)).await;
    assert!(world.apply(&james()).await.done);
    // But a new legacy secret is.
    world.write(put("HNS", "hns:cred:James", "a third", None, None)).await;
    let report = world.apply(&james()).await;
    assert_eq!((report.done, report.conflicts[0].reason.clone()), (false, Reason::NoClock));
    assert_eq!(&world.get("HNS", "hns:cred:u-1").await.unwrap().value[..], b"another");
}

#[tokio::test]
async fn a_subject_whose_keys_are_all_new_loses_nothing() {
    let world = World::new();
    world.put("LOGS", "trip:u-1:1", &trip("1", "u-1", MID)).await;
    world.put("SETTINGS", "settings:u-1", &json!({"theme": "dark"})).await;
    let before = world.data().await;
    let report = world.apply(&james()).await;
    assert_eq!((report.done, report.counts.total().scanned), (true, 0));
    assert_eq!(world.data().await, before);
    assert!(tidegate_rekey::Subject::new("u-1", texts(&["u-1"])).is_err());
}

#[tokio::test]
async fn two_records_that_become_one_are_judged_one_after_the_other() {
    let world = World::new();
    world.put("LOGS", "trip:James:hns_James_d", &trip("hns_James_d", "James", OLD)).await;
    world.put("LOGS", "trip:James:hns_u-1_d", &trip("hns_u-1_d", "James", NEW)).await;
    let dry = world.rekey().dry(&james()).await.unwrap();
    let report = world.rekey().apply(&james(), bounds(), "jane").await.unwrap();
    assert_eq!(dry.counts, report.counts);
    assert_eq!((report.done, report.migrated, report.iterations), (true, 2, 2));
    assert_eq!(world.json("LOGS", "trip:u-1:hns_u-1_d").await.unwrap(), trip("hns_u-1_d", "u-1", NEW));
}

#[tokio::test]
async fn a_record_is_judged_by_what_its_own_batch_has_put_there() {
    // Under two names of one subject, and all in one batch: the first replaces what stands there, and the second is to
    // be compared with the first, not with what stood there before.
    for second in
        [moved(OLD, "of another name"), moved(OLD, "there already"), moved("never", "of another name")]
    {
        let world = World::new();
        world.put("LOGS", "trip:u-1:1", &moved(OLD, "there already")).await;
        world.put("LOGS", "trip:James:1", &moved(MID, "of the first name")).await;
        world.put("LOGS", "trip:james:1", &second).await;
        let dry = world.rekey().dry(&james()).await.unwrap();
        let report = world.apply(&james()).await;
        assert_eq!(dry.counts, report.counts, "a dry run foretells the numbers: {second}");
        let trips = of(&report, "trips");
        let has_clock = second["updatedAt"] == json!(OLD);
        assert_eq!((trips.scanned, trips.migrated, trips.identical), (2, 1, 0), "{second}");
        assert_eq!((trips.skipped_newer, trips.conflicts), (u64::from(has_clock), u64::from(!has_clock)));
        assert_eq!(world.json("LOGS", "trip:u-1:1").await, Some(moved(MID, "of the first name")));
    }
}

fn moved(updated: &str, note: &str) -> Value {
    let mut record = trip("1", "u-1", updated);
    record["note"] = json!(note);
    record
}
