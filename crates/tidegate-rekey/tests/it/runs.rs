//! How a run begins, goes on, stops and ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_rekey::{Bounds, Foreground, Reason, RekeyError, STOP_KEY, Stopped};
use tidegate_store::kv::{BATCH_MAX, READ_MAX_BYTES};

use crate::watched::Watched;
use crate::world::{MID, NEW, START, World, at, bounds, james, of, put, trip};

async fn with_trips(count: usize) -> World {
    filled(World::new(), count).await
}

async fn filled(world: World, count: usize) -> World {
    let value = trip("x", "James", MID).to_string();
    let writes: Vec<_> = (0..count)
        .map(|number| put("LOGS", &format!("trip:James:{number:04}"), &value, None, None))
        .collect();
    for batch in writes.chunks(BATCH_MAX) {
        world.store.write_each(batch).await.unwrap();
    }
    world
}

#[tokio::test]
async fn a_dry_run_writes_the_state_only_and_never_done() {
    let world = with_trips(3).await;
    let report = world.rekey().dry(&james()).await.unwrap();
    assert_eq!((report.dry_run, report.done, report.migrated), (true, false, 3));
    let keys: Vec<String> = world.contents("JOURNAL").await.into_keys().collect();
    assert_eq!(keys, ["migration:u-1:state"]);
    let state = world.json("JOURNAL", "migration:u-1:state").await.unwrap();
    assert_eq!(state["lastRun"], json!("2026-02-02T02:40:00Z"));
    assert_eq!(
        (&state["dryRun"], &state["done"], &state["migrated"]),
        (&json!(true), &json!(false), &json!(0))
    );
    assert_eq!(state["stats"]["trips"]["migrated"], json!(3));
    assert!(world.apply(&james()).await.done);
    assert!(world.rekey().dry(&james()).await.unwrap().done);
    let state = world.rekey().state("u-1").await.unwrap().unwrap();
    assert_eq!((state.done, state.migrated, state.dry_run), (true, 3, true), "what an apply found stays");
}

#[tokio::test]
async fn a_run_that_may_write_few_batches_goes_on_behind_the_last_record() {
    let world = with_trips(25).await;
    let few = || Bounds { batch: 10, iterations: 1, held_to: None };
    let rekey = world.rekey();
    for (copied, cursor) in [(10, "trip:James:0009"), (20, "trip:James:0019")] {
        let report = rekey.apply(&james(), few(), "jane").await.unwrap();
        assert_eq!((report.done, report.stopped, report.migrated), (false, Some(Stopped::Iterations), 10));
        assert_eq!(report.cursor.as_deref(), Some(cursor));
        let there = world.store.list_all(&at("LOGS"), "trip:u-1:", 100).await.unwrap();
        assert_eq!(there.len(), copied);
        assert_eq!(
            world.json("JOURNAL", "migration:u-1:cursor:trips:0").await.unwrap()["key"],
            json!(cursor)
        );
        assert!(!rekey.state("u-1").await.unwrap().unwrap().done);
    }
    let report = rekey.apply(&james(), few(), "jane").await.unwrap();
    assert_eq!((report.done, report.migrated, report.iterations, report.cursor), (true, 5, 1, None));
    let state = rekey.state("u-1").await.unwrap().unwrap();
    assert_eq!((state.migrated, state.stats.rule("trips").unwrap().migrated), (25, 25));
    assert!(world.store.list_all(&at("JOURNAL"), "migration:u-1:cursor:", 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_a_cut_off_run_did_is_told_by_the_next_of_the_same_actor_also_after_a_dry_run() {
    let world = with_trips(25).await;
    world.put("LOGS", "trip:James:0003", &json!({"userId": "Eve"})).await;
    let few = |iterations| Bounds { batch: 10, iterations, held_to: None };
    let rekey = world.rekey();
    let told = |report: &tidegate_rekey::Report| {
        let (own, total) = (report.counts.total(), report.total.total());
        [own.migrated, total.scanned, total.migrated, total.quarantined]
    };
    let first = rekey.apply(&james(), few(1), "jane").await.unwrap();
    assert_eq!(told(&first), [9, 10, 9, 1]);
    let dry = rekey.dry(&james()).await.unwrap();
    assert_eq!(told(&dry), [15, 25, 15, 1], "what was copied is identical by now");
    let second = rekey.apply(&james(), few(1), "jane").await.unwrap();
    assert_eq!(told(&second), [10, 20, 19, 1]);
    let other = rekey.apply(&james(), few(1), "joe").await.unwrap();
    assert_eq!(told(&other), [5, 5, 5, 0], "of another actor there is nothing before");
    assert_eq!((other.done, other.quarantined.len()), (false, 1));
    let stats = rekey.state("u-1").await.unwrap().unwrap().stats;
    assert_eq!((stats.total().scanned, stats.total().migrated), (25, 24), "of all runs of the pass");
    // Whoever died behind the last write, and asks again, is told all of it.
    world.delete("LOGS", "trip:James:0003").await;
    assert_eq!(
        told(&rekey.apply(&james(), few(9), "jane").await.unwrap()),
        [0, 24, 0, 0],
        "a pass of its own"
    );
    world.put("LOGS", "trip:James:0003", &trip("x", "James", MID)).await;
    assert_eq!(told(&rekey.apply(&james(), few(9), "jane").await.unwrap()), [1, 25, 1, 0]);
    assert_eq!(told(&rekey.apply(&james(), few(9), "jane").await.unwrap()), [0, 25, 1, 0]);
    assert_eq!(told(&rekey.apply(&james(), few(9), "joe").await.unwrap()), [0, 25, 0, 0]);
}

#[tokio::test]
async fn a_run_gives_way_to_requests_in_small_batches_that_cost_it_no_more_of_its_bounds() {
    let world = with_trips(200).await;
    let foreground = Foreground::default();
    let rekey = world.rekey().giving_way_to(&foreground);
    let one = || Bounds { batch: 150, iterations: 1, held_to: None };
    let request = foreground.enter("u-1");
    let report = rekey.apply(&james(), one(), "jane").await.unwrap();
    // It ends behind the small batch that reaches the 150.
    assert_eq!((report.stopped, report.migrated, report.iterations), (Some(Stopped::Iterations), 160, 5));
    drop(request);
    let alone = world.rekey().giving_way_to(&Foreground::default());
    let report = alone.apply(&james(), one(), "jane").await.unwrap();
    assert_eq!((report.done, report.migrated, report.iterations), (true, 40, 1));
    let there = world.store.list_all(&at("LOGS"), "trip:u-1:", 1000).await.unwrap();
    assert_eq!(there.len(), 200);
}

#[tokio::test]
async fn a_larger_page_than_a_batch_skips_no_record() {
    let world = with_trips(1200).await;
    let report = world.apply(&james()).await;
    assert_eq!((report.done, report.migrated, report.iterations), (true, 1200, 3));
    let report =
        with_trips(7).await.rekey().apply(&james(), Bounds { batch: 2, ..bounds() }, "j").await.unwrap();
    assert_eq!((report.done, report.migrated, report.iterations), (true, 7, 4));
}

#[tokio::test]
async fn large_records_behind_many_small_ones_are_read_a_few_at_a_time() {
    // By the small ones it learns that pages can be long.
    let world = filled(World::roomy(), 1100).await;
    let large = "x".repeat(12 * 1024 * 1024);
    for number in 0..4 {
        let mut record = trip("x", "James", MID);
        record["notes"] = json!(large);
        world.put("LOGS", &format!("trip:James:large{number:02}"), &record).await;
    }
    let watched = Arc::new(Watched::new(world.store.clone()));
    let report = world.rekey_on(watched.clone()).apply(&james(), bounds(), "jane").await.unwrap();
    assert_eq!((report.done, report.migrated), (true, 1104));
    let most = watched.most_unwritten.load(Ordering::SeqCst);
    assert!((large.len()..=READ_MAX_BYTES + large.len()).contains(&most), "{most} bytes for one batch");
}

#[tokio::test]
async fn a_run_of_who_is_done_writes_when_it_ran_and_nothing_else() {
    let world = with_trips(3).await;
    world.apply(&james()).await;
    let (data, journal) = (world.data().await, world.contents("JOURNAL").await);
    world.clock.advance(100);
    let watched = Arc::new(Watched::new(world.store.clone()));
    let report = world.rekey_on(watched.clone()).apply(&james(), bounds(), "jane").await.unwrap();
    assert_eq!((report.done, of(&report, "trips").identical, report.iterations), (true, 3, 0));
    assert_eq!(watched.changed(), ["JOURNAL/migration:u-1:state"]);
    assert_eq!(world.data().await, data);
    let mut after = world.contents("JOURNAL").await;
    let state: Value = serde_json::from_slice(&after["migration:u-1:state"].0).unwrap();
    assert_eq!(state["lastRun"], json!("2026-02-02T02:41:40Z"));
    after.remove("migration:u-1:state");
    assert!(after.iter().all(|(key, value)| journal.get(key) == Some(value)));
}

#[tokio::test]
async fn what_is_written_at_a_legacy_key_after_done_is_seen_by_the_next_run() {
    let world = with_trips(3).await;
    world.apply(&james()).await;
    world.put("LOGS", "trip:James:0001", &trip("x", "James", NEW)).await;
    world.put("LOGS", "trip:James:0000a", &trip("y", "James", NEW)).await;
    let report = world.apply(&james()).await;
    assert_eq!((report.done, report.migrated), (true, 2));
    assert_eq!(world.rekey().state("u-1").await.unwrap().unwrap().migrated, 5);
}

#[tokio::test]
async fn what_comes_during_a_run_is_found_by_its_second_listing() {
    let world = with_trips(3).await;
    let watched = Watched::new(world.store.clone());
    // Before the cursor by the time it is written.
    let late = put("LOGS", "trip:James:0000a", &trip("l", "James", MID).to_string(), None, None);
    watched.meddling.lock().unwrap().push((1, late));
    let report = world.rekey_on(Arc::new(watched)).apply(&james(), bounds(), "jane").await.unwrap();
    assert_eq!((report.done, report.migrated, of(&report, "trips").scanned), (true, 4, 4));
}

#[tokio::test]
async fn a_write_between_reading_and_copying_is_neither_lost_nor_overwritten() {
    for key in ["trip:James:0001", "trip:u-1:0001"] {
        let world = with_trips(3).await;
        let watched = Watched::new(world.store.clone());
        let newer = trip("newer", if key.starts_with("trip:u") { "u-1" } else { "James" }, NEW);
        watched.meddling.lock().unwrap().push((1, put("LOGS", key, &newer.to_string(), None, None)));
        let report = world.rekey_on(Arc::new(watched)).apply(&james(), bounds(), "jane").await.unwrap();
        assert!(report.done, "{report:?}");
        assert_eq!(world.json("LOGS", "trip:u-1:0001").await.unwrap(), trip("newer", "u-1", NEW));
        assert_eq!(of(&report, "trips").scanned, 3);
    }
}

#[tokio::test]
async fn a_record_that_never_stands_still_fails_alone() {
    let world = with_trips(3).await;
    let mut watched = Watched::new(world.store.clone());
    watched.always =
        Some(put("LOGS", "trip:James:0001", &trip("busy", "James", MID).to_string(), None, None));
    let report = world.rekey_on(Arc::new(watched)).apply(&james(), bounds(), "jane").await.unwrap();
    assert_eq!((report.done, report.migrated, of(&report, "trips").failed), (false, 2, 1));
    assert_eq!(report.errors.len(), 1);
    assert!(matches!(report.errors[0].reason, Reason::Contended { .. }));
    let report = world.apply(&james()).await;
    assert_eq!((report.done, report.migrated), (true, 1));
}

#[tokio::test]
async fn a_record_that_the_store_refuses_fails_alone_and_the_next_run_finishes() {
    let world = with_trips(100).await;
    let mut watched = Watched::new(world.store.clone());
    watched.rejected = Some("trip:u-1:0042".to_owned());
    let report =
        world.rekey_on(Arc::new(watched)).apply(&james(), Bounds { iterations: 500, ..bounds() }, "j").await;
    let report = report.unwrap();
    assert_eq!((report.done, report.migrated, of(&report, "trips").failed), (false, 99, 1));
    assert_eq!(report.errors[0].key, "trip:James:0042");
    assert!(matches!(report.errors[0].reason, Reason::TooLarge { .. }));
    assert_eq!(world.rekey().state("u-1").await.unwrap().unwrap().errors, 1);
    let report = world.apply(&james()).await;
    assert_eq!((report.done, report.migrated), (true, 1));
}

#[tokio::test]
async fn a_body_that_is_no_json_is_an_error_and_the_others_go_on() {
    let world = with_trips(2).await;
    world.write(put("LOGS", "trip:James:0000x", r#"{"userId": "James""#, None, None)).await;
    for _run in 0..2 {
        let report = world.apply(&james()).await;
        assert_eq!((report.done, report.errors.len(), of(&report, "trips").failed), (false, 1, 1));
    }
    assert!(world.get("LOGS", "trip:u-1:0001").await.is_some());
    assert!(world.get("LOGS", "trip:u-1:0000x").await.is_none());
}

#[tokio::test]
async fn more_than_the_store_takes_after_the_rewrite_fails_alone() {
    let world = with_trips(1).await;
    let key = "k".repeat(500);
    world.put("LOGS", &format!("trip:James:{key}"), &trip("1", "James", MID)).await;
    let long = crate::world::subject(&"u".repeat(100), &["James"]);
    let mut world = world;
    world.accounts.0[0].0 = long.id.clone();
    let report = world.apply(&long).await;
    assert_eq!((report.done, report.migrated, report.errors.len()), (false, 1, 1));
    assert!(matches!(report.errors[0].reason, Reason::BadDestination { .. }));
}

#[tokio::test]
async fn a_run_is_held_to_the_numbers_of_the_dry_one() {
    let world = with_trips(3).await;
    let rekey = world.rekey();
    let dry = rekey.dry(&james()).await.unwrap();
    world.put("LOGS", "trip:James:9999", &trip("x", "James", MID)).await;
    let before = (world.data().await, world.contents("JOURNAL").await);
    let held = || Bounds { held_to: Some(dry.counts.clone()), ..bounds() };
    let report = rekey.apply(&james(), held(), "jane").await.unwrap();
    let Some(Stopped::HeldTo { differences }) = report.stopped else { panic!("{report:?}") };
    assert_eq!((differences.len(), differences[0].rule.as_str()), (1, "trips"));
    assert_eq!((differences[0].held_to.migrated, differences[0].found.migrated), (3, 4));
    assert_eq!((world.data().await, world.contents("JOURNAL").await), before, "nothing was written");
    world.delete("LOGS", "trip:James:9999").await;
    assert!(rekey.apply(&james(), held(), "jane").await.unwrap().done);
}

#[tokio::test]
async fn the_stop_key_ends_a_run_within_one_batch_and_keeps_the_next_from_beginning() {
    let world = with_trips(30).await;
    let watched = Watched::new(world.store.clone());
    watched.meddling.lock().unwrap().push((2, put("JOURNAL", STOP_KEY, "{}", None, None)));
    let few = || Bounds { batch: 10, ..bounds() };
    let report = world.rekey_on(Arc::new(watched)).apply(&james(), few(), "jane").await.unwrap();
    assert_eq!((report.stopped, report.migrated, report.done), (Some(Stopped::KillSwitch), 10, false));
    let before = world.contents("JOURNAL").await;
    let report = world.rekey().apply(&james(), few(), "jane").await.unwrap();
    assert_eq!((report.stopped, report.migrated), (Some(Stopped::KillSwitch), 0));
    assert_eq!(world.contents("JOURNAL").await, before);
    world.delete("JOURNAL", STOP_KEY).await;
    let report = world.rekey().apply(&james(), few(), "jane").await.unwrap();
    assert_eq!((report.done, report.migrated), (true, 20));
}

#[tokio::test]
async fn one_run_at_a_time_and_a_dead_ones_lease_ends_by_the_stores_clock() {
    let world = with_trips(30).await;
    let mut watched = Watched::new(world.store.clone());
    watched.dies_after = 22;
    let rekey = world.rekey_on(Arc::new(watched)).with_lease(Duration::from_secs(30));
    let bounds = || Bounds { batch: 10, ..bounds() };
    assert!(matches!(rekey.apply(&james(), bounds(), "joe").await, Err(RekeyError::Store(_))));
    let refused = world.rekey().apply(&james(), bounds(), "jane").await;
    let Err(RekeyError::Held { holder, until, .. }) = refused else { panic!("{refused:?}") };
    assert!(holder.starts_with("joe ("), "{holder}");
    assert_eq!(until.as_second(), START + 30);
    world.clock.advance(29);
    assert!(matches!(world.rekey().apply(&james(), bounds(), "jane").await, Err(RekeyError::Held { .. })));
    world.clock.advance(1);
    assert!(world.rekey().apply(&james(), bounds(), "jane").await.unwrap().done);
    let lease = world.json("JOURNAL", "migration:u-1:lease").await.unwrap();
    assert_eq!(lease["epoch"], json!(2));
}

#[tokio::test]
async fn a_run_whose_lease_was_taken_writes_nothing_more() {
    let world = with_trips(30).await;
    let watched = Watched::new(world.store.clone());
    let taken = json!({"holder": "thief", "until": START + 600, "epoch": 9, "beat": 0}).to_string();
    watched.meddling.lock().unwrap().push((2, put("JOURNAL", "migration:u-1:lease", &taken, None, None)));
    let report =
        world.rekey_on(Arc::new(watched)).apply(&james(), Bounds { batch: 10, ..bounds() }, "jane").await;
    let report = report.unwrap();
    assert_eq!((report.stopped, report.migrated, report.done), (Some(Stopped::LeaseLost), 10, false));
    assert_eq!(world.json("JOURNAL", "migration:u-1:lease").await.unwrap()["holder"], json!("thief"));
    assert_eq!(world.store.list_all(&at("LOGS"), "trip:u-1:", 99).await.unwrap().len(), 10);
}

#[tokio::test]
async fn two_runs_at_once_copy_each_record_once() {
    let world = with_trips(50).await;
    let (one, other) = (world.rekey(), world.rekey());
    let small = || Bounds { batch: 5, ..bounds() };
    let subject = james();
    let (one, other) =
        tokio::join!(one.apply(&subject, small(), "one"), other.apply(&subject, small(), "other"));
    let migrated: u64 = [one, other]
        .into_iter()
        .map(|run| match run {
            Ok(report) => report.migrated,
            Err(RekeyError::Held { .. }) => 0,
            Err(error) => panic!("{error}"),
        })
        .sum();
    assert_eq!(migrated, 50);
    assert_eq!(world.store.list_all(&at("LOGS"), "trip:u-1:", 99).await.unwrap().len(), 50);
}

#[tokio::test]
async fn a_dry_run_beside_an_apply_takes_nothing_from_it() {
    let world = with_trips(30).await;
    let watched = Watched::new(world.store.clone());
    let dry =
        json!({"lastRun": "2026-01-01T00:00:00Z", "migrated": 0, "done": false, "dryRun": true}).to_string();
    watched.meddling.lock().unwrap().push((2, put("JOURNAL", "migration:u-1:state", &dry, None, None)));
    let report =
        world.rekey_on(Arc::new(watched)).apply(&james(), Bounds { batch: 10, ..bounds() }, "jane").await;
    assert!(report.unwrap().done);
    let state = world.rekey().state("u-1").await.unwrap().unwrap();
    assert_eq!((state.done, state.migrated, state.dry_run), (true, 30, false));
}

#[tokio::test]
async fn a_report_is_json_that_names_each_refusal_with_its_code_and_a_sentence() {
    let world = with_trips(1).await;
    world.put("LOGS", "trip:James:2", &trip("2", "eve", MID)).await;
    let report = serde_json::to_value(world.apply(&james()).await).unwrap();
    assert_eq!(report["quarantined"][0]["reason"], json!({"code": "otherOwner", "named": "eve"}));
    assert!(report["quarantined"][0]["message"].as_str().unwrap().contains("eve"));
    assert_eq!(report["counts"]["trips"]["skippedNewer"], json!(0));
    assert_eq!(
        (&report["dryRun"], &report["done"], &report["more"]),
        (&json!(false), &json!(false), &json!(0))
    );
}

#[tokio::test]
async fn large_records_go_in_batches_of_bounded_bytes() {
    let world = World::new();
    let blob = "x".repeat(3 * 1024 * 1024);
    for number in 0..7 {
        let mut record = trip("x", "James", MID);
        record["blob"] = json!(blob);
        world.put("LOGS", &format!("trip:James:{number}"), &record).await;
    }
    let watched = Arc::new(Watched::new(world.store.clone()));
    let report = world.rekey_on(watched.clone()).apply(&james(), bounds(), "jane").await.unwrap();
    assert_eq!((report.done, report.migrated, report.iterations), (true, 7, 4), "two of 3 MiB fit in 8 MiB");
}

#[tokio::test]
async fn a_record_whose_former_one_cannot_be_saved_is_not_overwritten() {
    let world = World::new();
    let mut large = trip("1", "u-1", crate::world::OLD);
    large["blob"] = json!("x".repeat(20 * 1024 * 1024));
    world.put("LOGS", "trip:u-1:1", &large).await;
    world.put("LOGS", "trip:James:1", &trip("1", "James", MID)).await;
    let report = world.apply(&james()).await;
    assert_eq!((report.done, report.migrated, report.errors.len()), (false, 0, 1));
    assert!(matches!(report.errors[0].reason, Reason::TooLarge { .. }));
    assert_eq!(world.json("LOGS", "trip:u-1:1").await, Some(large));
}
