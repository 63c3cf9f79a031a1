//! The trail: nothing in it is lost, cut or overwritten.

use std::sync::Arc;

use serde_json::json;
use tidegate_store::kv::Key;
use trips::audit::{Action, Audit, Event};
use trips::keyspace;

use crate::migration_ground::{Ground, NOON};

fn event(n: usize) -> Event {
    Event::new(Action::StorageMigration, &format!("admin-{n}"), true).about("u-1").with("n", n)
}

#[tokio::test]
async fn fifty_events_at_once_are_fifty_entries() {
    let ground = Ground::new().await;
    let audit = Arc::new(Audit::new(ground.store.clone(), keyspace::migrations()));
    let mut writing = tokio::task::JoinSet::new();
    for n in 0..50 {
        let audit = audit.clone();
        writing.spawn(async move { audit.append(event(n)).await });
    }
    let keys: std::collections::BTreeSet<Key> =
        writing.join_all().await.into_iter().map(Result::unwrap).collect();
    assert_eq!(keys.len(), 50);
    let page = audit.month(&ground.month(), None, None, None, 500).await.unwrap();
    let mut actors: Vec<&str> = page.entries.iter().map(|entry| entry.actor.as_str()).collect();
    actors.sort_unstable();
    actors.dedup();
    assert_eq!((page.entries.len(), actors.len(), page.next), (50, 50, None));
}

#[tokio::test]
async fn the_first_of_a_thousand_and_one_entries_is_kept_and_none_ever_ends() {
    let ground = Ground::new().await;
    let audit = Audit::new(ground.store.clone(), keyspace::migrations());
    let first = audit.append(event(0)).await.unwrap();
    for n in 1..=1_000 {
        audit.append(event(n)).await.unwrap();
    }
    let entry = ground.store.get(&keyspace::migrations(), &first).await.unwrap().unwrap();
    assert_eq!((entry.expires_at, entry.metadata), (None, None));
    let (mut seen, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = audit.month(&ground.month(), None, Some("u-1"), after.as_deref(), 300).await.unwrap();
        assert!(page.entries.len() <= 300);
        seen.extend(page.entries.into_iter().map(|entry| entry.details["n"].as_u64().unwrap()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..=1_000).collect::<Vec<u64>>(), "oldest first, each once");
}

#[tokio::test]
async fn a_key_says_month_and_time_and_a_month_holds_only_its_own_entries() {
    let ground = Ground::new().await;
    let audit = Audit::new(ground.store.clone(), keyspace::migrations());
    let key = audit.append(event(1)).await.unwrap().to_string();
    assert!(key.starts_with("audit:2026-03:2026-03-01T12:00:0"), "{key}");
    ground.clock.advance(31 * 86_400);
    audit.append(event(2)).await.unwrap();
    assert_eq!(NOON.0 % 86_400, 43_200);
    for (month, n) in [("2026-03", 1), ("2026-04", 2)] {
        let page = audit.month(month, None, None, None, 10).await.unwrap();
        assert_eq!(page.entries.iter().map(|entry| &entry.details["n"]).collect::<Vec<_>>(), [&json!(n)]);
    }
    for month in ["2026-3", "", "2026-03:", "audit", "20é6-03"] {
        assert!(audit.month(month, None, None, None, 10).await.is_err(), "{month}");
    }
}

#[tokio::test]
async fn entries_are_found_by_whom_they_are_about_or_by_who_acted() {
    let ground = Ground::new().await;
    let audit = Audit::new(ground.store.clone(), keyspace::migrations());
    for (actor, about) in [("a", "u-1"), ("b", "u-2"), ("u-1", "u-3")] {
        audit.append(Event::new(Action::Cleanup, actor, true).about(about)).await.unwrap();
    }
    let page = audit.month(&ground.month(), None, Some("u-1"), None, 10).await.unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.actor.as_str()).collect::<Vec<_>>(), ["a", "u-1"]);
}

#[tokio::test]
async fn where_the_trail_cannot_be_written_nothing_is_copied() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    ground.trip("James", "t1", "2026-01-01T09:00:00Z").await;
    let before = ground.all().await;
    ground.refuse_writes_to(&keyspace::migrations());
    let report = ground.cohort(&["james"], true).await;
    assert!(!report.success);
    let error = report.results["james"]["error"].as_str().unwrap();
    assert!(error.contains("audit trail"), "{error}");
    assert_eq!(ground.all().await, before);
    ground.allow_writes();
    assert!(ground.cohort(&["james"], true).await.success);
    assert_eq!(ground.json(&keyspace::logs(), &format!("trip:{id}:t1")).await["userId"], json!(id));
}
