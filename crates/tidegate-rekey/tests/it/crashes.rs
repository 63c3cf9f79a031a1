//! A run may die between any two operations, and any answer may be lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tidegate_rekey::{Bounds, RekeyError, Report, Subject};

use crate::watched::Watched;
use crate::world::{Contents, MID, NEW, OLD, START, World, put, subject, trip};

fn everybody() -> Subject {
    subject("u-1", &["James", "james", "a:b"])
}

/// A subject with every awkward shape.
async fn awkward() -> World {
    let world = World::with(&[("u-1", &["James", "a:b"]), ("u-2", &["James:x"])]);
    for number in 0..7 {
        world.put("LOGS", &format!("trip:James:{number}"), &trip("x", "James", MID)).await;
    }
    world.put("LOGS", "trip:james:1", &trip("x", "james", NEW)).await;
    world.put("LOGS", "trip:a:b:9:9", &trip("9:9", "a:b", MID)).await;
    world.put("LOGS", "trip:u-1:2", &trip("newer", "u-1", NEW)).await;
    world.put("LOGS", "trip:u-1:3", &trip("older", "u-1", OLD)).await;
    world.put("LOGS", "trip:u-1:4", &trip("other", "u-1", MID)).await;
    world.put("LOGS", "trip:James:x:1", &trip("1", "James", MID)).await;
    world.put("LOGS", "trip:James:hns_James_d", &trip("hns_James_d", "James", MID)).await;
    world.put("LOGS", "trip:James:hns_u-1_d", &trip("hns_u-1_d", "James", NEW)).await;
    world.put("LOGS", "trip:James:eve", &trip("eve", "eve", MID)).await;
    world.write(put("LOGS", "trip:James:bad", "{", None, None)).await;
    let tombstone = json!({"id": "t", "userId": "James", "deleted": true, "updatedAt": NEW}).to_string();
    world
        .write(put("MILEAGE", "mileage:James:t", &tombstone, Some(r#"{"d":1}"#), Some(START + 100_000)))
        .await;
    world.put("SETTINGS", "settings:James", &json!({"theme": "dark"})).await;
    world.write(put("HNS", "hns:cred:a:b", "\u{1}secret", None, Some(START + 50_000))).await;
    world.put("TRASH", "trash:1", &json!({"userId": "James", "backup": {"userId": "a:b"}})).await;
    world.put("TRASH", "trash:2", &json!({"userId": "Bob"})).await;
    world
}

fn small() -> Bounds {
    Bounds { batch: 4, iterations: 100, held_to: None }
}

type Data = BTreeMap<&'static str, Contents>;

async fn uninterrupted() -> (Data, Report) {
    let world = awkward().await;
    let report = world.rekey().apply(&everybody(), small(), "jane").await.unwrap();
    assert_eq!(
        (report.conflicts.len(), report.quarantined.len(), report.errors.len()),
        (1, 2, 1),
        "{report:?}"
    );
    assert_eq!(report.migrated, 13);
    (world.data().await, report)
}

async fn ends_the_same(world: &World, whole: &(Data, Report), what: &str) {
    // A dead run's lease ends first.
    world.clock.advance(61);
    let rekey = world.rekey();
    rekey.apply(&everybody(), small(), "jane").await.unwrap();
    // Once more, over all: what a resumed run passed over it lists.
    let last = rekey.apply(&everybody(), small(), "jane").await.unwrap();
    assert_eq!(world.data().await, whole.0, "{what}");
    assert_eq!(last.migrated, 0, "{what}");
    assert_eq!(
        (&last.conflicts, &last.quarantined, &last.errors),
        (&whole.1.conflicts, &whole.1.quarantined, &whole.1.errors),
        "{what}"
    );
    let state = rekey.state("u-1").await.unwrap().unwrap();
    assert_eq!((state.migrated, state.done), (whole.1.migrated, false), "{what}: each copy is counted once");
}

#[tokio::test]
async fn a_run_that_dies_after_any_operation_is_ended_by_the_next() {
    let whole = uninterrupted().await;
    let mut died = 0;
    for operations in 0.. {
        assert!(operations < 500, "the run never ends");
        let world = awkward().await;
        let mut watched = Watched::new(world.store.clone());
        watched.dies_after = operations;
        let run = world.rekey_on(Arc::new(watched)).apply(&everybody(), small(), "joe").await;
        match run {
            Ok(_) => break,
            Err(RekeyError::Store(_)) => died += 1,
            Err(other) => panic!("{other}"),
        }
        ends_the_same(&world, &whole, &format!("after {operations} operations")).await;
    }
    assert!(died > 20, "{died}");
}

#[tokio::test]
async fn a_batch_whose_answer_is_lost_is_neither_written_nor_counted_twice() {
    let whole = uninterrupted().await;
    for swallowed in [false, true] {
        for batch in 1.. {
            assert!(batch < 100, "the run never ends");
            let world = awkward().await;
            let mut watched = Watched::new(world.store.clone());
            (watched.swallows, watched.loses) = if swallowed { (batch, 0) } else { (0, batch) };
            let watched = Arc::new(watched);
            let report = world.rekey_on(watched.clone()).apply(&everybody(), small(), "joe").await.unwrap();
            assert_eq!(report.counts, whole.1.counts, "batch {batch}");
            assert_eq!(world.data().await, whole.0, "batch {batch}");
            ends_the_same(&world, &whole, &format!("batch {batch}")).await;
            if watched.batches() < batch {
                break;
            }
        }
    }
}
