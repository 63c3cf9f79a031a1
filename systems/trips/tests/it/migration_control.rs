//! Stopping, coverage, turning dual reading off, and cleaning up.

use serde_json::json;
use trips::keyspace;
use trips::migration::dual_read::Waiver;

use crate::migration_ground::{Ground, OLD};

const DAY: i64 = 86_400;

async fn is_on(ground: &Ground) -> bool {
    let switch = ground.json(&keyspace::migrations(), keyspace::DUAL_READ_KEY).await;
    switch["on"].as_bool().unwrap_or(true)
}

#[tokio::test]
async fn the_kill_switch_keeps_every_run_from_beginning_until_it_is_taken_back() {
    let ground = Ground::new().await;
    ground.user("james", "James").await;
    ground.trip("James", "t1", OLD).await;
    let before = ground.data().await;
    ground.migration.stop(true, "look at the errors first", &ground.actor()).await.unwrap();
    let report = ground.cohort(&["james"], true).await;
    assert!(!report.success, "{report:?}");
    assert_eq!(ground.data().await, before);
    ground.migration.stop(false, "looked at", &ground.actor()).await.unwrap();
    assert_eq!(ground.run("james", true).await["done"], json!(true));
    let page = ground.migration.audit().month("2026-03", None, None, None, 100).await.unwrap();
    let text = serde_json::to_string(&page).unwrap();
    assert_eq!(text.matches("kill_switch").count(), 2);
}

#[tokio::test]
async fn stopping_works_where_the_trail_cannot_be_written() {
    let ground = Ground::new().await;
    ground.refuse_keys(&keyspace::migrations(), "audit:");
    assert!(ground.migration.stop(true, "now", &ground.actor()).await.is_err());
    assert!(ground.migration.is_stopped().await.unwrap());
    assert!(ground.migration.stop(false, "go on", &ground.actor()).await.is_err());
    assert!(ground.migration.is_stopped().await.unwrap(), "going on needs the trail");
}

#[tokio::test]
async fn coverage_counts_whoever_has_legacy_keys_or_is_done() {
    let ground = Ground::new().await;
    ground.user("empty", "Empty").await;
    ground.user("done", "Done").await;
    let open = ground.user("open", "Open").await;
    for owner in ["Done", "Open"] {
        ground.trip(owner, "t1", OLD).await;
    }
    ground.run("done", true).await;
    let coverage = ground.migration.coverage().await.unwrap();
    assert_eq!((coverage.users, coverage.affected, coverage.done), (3, 2, 1));
    assert!((coverage.share - 0.5).abs() < 1e-9);
    assert_eq!(coverage.not_done[0].user_id, open);
    assert_eq!(coverage.legacy_keys[keyspace::logs().as_str()], 2);
    let line = format!("migration_legacy_keys_remaining{{namespace=\"{}\"}} 2\n", keyspace::logs());
    assert!(ground.app.metrics().render().contains(&line));
}

#[tokio::test]
async fn dual_reading_ends_only_when_everybody_is_accounted_for_and_can_come_back() {
    let ground = Ground::new().await;
    let open = ground.user("open", "Open").await;
    ground.trip("Open", "t1", OLD).await;
    let waiver =
        |by: &str, reason: &str| Waiver { user: open.clone(), by: by.to_owned(), reason: reason.to_owned() };
    let turn = async |on, waivers: &[Waiver]| ground.migration.dual_read(on, waivers, &ground.actor()).await;
    let refused = turn(false, &[]).await.unwrap_err().to_string();
    assert!(refused.contains(&open), "{refused}");
    assert!(turn(false, &[waiver(" ", "left")]).await.is_err(), "a waiver names a person");
    assert!(turn(false, &[waiver("Ana", " ")]).await.is_err(), "and a reason");
    assert!(is_on(&ground).await);
    turn(false, &[waiver("Ana", "the account is a test")]).await.unwrap();
    assert!(!is_on(&ground).await);
    turn(true, &[]).await.unwrap();
    assert!(is_on(&ground).await);
    ground.run("open", true).await;
    turn(false, &[]).await.unwrap();
    assert!(!is_on(&ground).await);
}

#[tokio::test]
async fn legacy_keys_go_only_after_ninety_days_of_a_done_user_and_a_week_without_legacy_reads() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    ground.trip("James", "t1", OLD).await;
    ground.raw(&keyspace::logs(), "meta:user:James:monthly_count:2026-01", b"7", None, None).await;
    let clean = async |apply| {
        let (success, results) =
            ground.migration.cleanup(&["james".to_owned()], apply, &ground.actor()).await.unwrap();
        (success, results["james"].clone())
    };
    let (success, told) = clean(true).await;
    assert!(!success && told["error"].as_str().unwrap().contains("95 %"), "{told}");
    assert_eq!(ground.run("james", true).await["done"], json!(true));
    let (_, told) = clean(true).await;
    assert!(told["error"].as_str().unwrap().contains("0 days"), "{told}");
    ground.clock.advance(90 * DAY - 1);
    let (_, told) = clean(true).await;
    assert!(told["error"].as_str().unwrap().contains("89 days"), "{told}");
    ground.app.metrics().legacy_reads(3);
    ground.app.metrics().flush(&*ground.store, &keyspace::migrations()).await.unwrap();
    ground.clock.advance(1);
    let (_, told) = clean(true).await;
    assert!(told["error"].as_str().unwrap().contains("3 times"), "{told}");
    ground.clock.advance(8 * DAY);
    assert_eq!(clean(false).await.1["legacyKeys"], json!(1));
    assert_eq!(ground.keys(&keyspace::logs(), "trip:James:").await.len(), 1);
    let (success, told) = clean(true).await;
    assert!(success, "{told}");
    assert!(ground.keys(&keyspace::logs(), "trip:James:").await.is_empty());
    assert!(ground.keys(&keyspace::logs(), "meta:user:James:").await.is_empty());
    assert_eq!(ground.keys(&keyspace::logs(), &format!("trip:{id}:")).await.len(), 1);
    assert_eq!(
        ground.json(&keyspace::logs(), &format!("meta:user:{id}:monthly_count:2026-01")).await,
        json!(7)
    );
}

#[tokio::test]
async fn a_legacy_key_that_was_written_after_it_was_copied_is_not_removed() {
    let ground = Ground::new().await;
    ground.user("james", "James").await;
    ground.trip("James", "t1", OLD).await;
    ground.trip("James", "t2", OLD).await;
    ground.run("james", true).await;
    ground.clock.advance(100 * DAY);
    // As old as before, and other bytes: an apply would find two that differ, so the user is still called done.
    ground.trip("James", "t2", OLD).await;
    let (_, results) = ground.migration.cleanup(&["james".to_owned()], true, &ground.actor()).await.unwrap();
    assert_eq!(ground.keys(&keyspace::logs(), "trip:James:").await, ["trip:James:t2"], "{results:?}");
}

#[tokio::test]
async fn legacy_reads_are_added_up_by_day_across_processes() {
    let ground = Ground::new().await;
    let reads = async || {
        trips::metrics::legacy_reads_of_days(&*ground.store, &keyspace::migrations(), 7).await.unwrap()
    };
    let (one, other) = (trips::metrics::Metrics::default(), trips::metrics::Metrics::default());
    for metrics in [&one, &other] {
        metrics.legacy_reads(2);
        metrics.flush(&*ground.store, &keyspace::migrations()).await.unwrap();
        metrics.flush(&*ground.store, &keyspace::migrations()).await.unwrap();
    }
    assert_eq!(reads().await, 4);
    ground.refuse_writes_to(&keyspace::migrations());
    one.legacy_reads(1);
    assert!(one.flush(&*ground.store, &keyspace::migrations()).await.is_err());
    ground.allow_writes();
    one.flush(&*ground.store, &keyspace::migrations()).await.unwrap();
    assert_eq!(reads().await, 5, "what could not be written is not lost");
    ground.clock.advance(6 * DAY);
    assert_eq!(reads().await, 5);
    ground.clock.advance(DAY);
    assert_eq!(reads().await, 0);
}
