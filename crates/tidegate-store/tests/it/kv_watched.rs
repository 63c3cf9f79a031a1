//! The watched store: what it counts, and what it does to an operation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_store::kv::sqlite::SqliteKv;
use tidegate_store::kv::watched::{Asked, Fault, Operation, Plan, Watched, hook};
use tidegate_store::kv::{
    Change, Condition, Key, Kv, KvError, KvStore, Namespace, Write, Written, WrittenAll,
};
use tokio::sync::Notify;

fn namespace() -> Namespace {
    Namespace::new("n").unwrap()
}

fn key() -> Key {
    Key::new("k").unwrap()
}

fn put(value: &str) -> Write {
    let change = Change::Put { value: value.to_owned().into(), metadata: None, expires_at: None };
    Write { namespace: namespace(), key: key(), change, condition: Condition::Always }
}

struct Place(std::path::PathBuf);

impl Place {
    fn new(name: &str) -> (Self, Kv) {
        let directory = std::env::temp_dir().join(format!("tidegate-watched-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).unwrap();
        let store = SqliteKv::open(&directory.join("store")).unwrap();
        (Self(directory), Arc::new(store))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn value(store: &Kv) -> Option<String> {
    let entry = store.get(&namespace(), &key()).await.unwrap();
    entry.map(|entry| String::from_utf8(entry.value.to_vec()).unwrap())
}

#[tokio::test]
async fn operations_are_counted_by_name() {
    let (_place, store) = Place::new("counted");
    let watched = Watched::new(store, Plan::new());
    watched.write_each(&[put("1"), put("2")]).await.unwrap();
    watched.list(&namespace(), "", None, 7).await.unwrap();
    watched.write_each(&[put("3")]).await.unwrap();
    watched.now().await.unwrap();
    let asked = |operation, nth, nth_of_name, size| Asked { operation, nth, nth_of_name, size };
    let expected = [
        asked(Operation::WriteEach, 1, 1, 2),
        asked(Operation::List, 2, 1, 7),
        asked(Operation::WriteEach, 3, 2, 1),
    ];
    assert_eq!(watched.operations(), expected);
    assert_eq!((watched.count(Operation::WriteEach), watched.count(Operation::GetSome)), (2, 0));
}

#[tokio::test]
async fn a_refused_write_is_not_made_and_a_lost_answer_is() {
    let (_place, store) = Place::new("lost");
    let plan = Plan::new()
        .at_the(Operation::WriteEach, 1, Fault::Refuse)
        .at_the(Operation::WriteEach, 2, Fault::LoseAnswer)
        .at_the(Operation::GetSome, 1, Fault::LoseAnswer);
    let watched = Watched::new(store.clone(), plan);
    let refused = watched.write_each(&[put("1")]).await;
    assert!(matches!(refused, Err(KvError::Unavailable { .. })), "{refused:?}");
    assert_eq!(value(&store).await, None);
    let lost = watched.write_each(&[put("2")]).await;
    assert!(matches!(lost, Err(KvError::Unknown { .. })), "{lost:?}");
    assert_eq!(value(&store).await.as_deref(), Some("2"));
    let lost = watched.get_some(&namespace(), &[key()]).await;
    assert!(matches!(lost, Err(KvError::Unavailable { .. })), "{lost:?}");
    assert!(matches!(watched.write_each(&[put("3")]).await.unwrap()[..], [Written::Done(Some(_))]));
}

#[tokio::test]
async fn once_it_is_gone_nothing_is_made_any_more() {
    let (_place, store) = Place::new("gone");
    let watched = Watched::new(store.clone(), Plan::new().at(2, Fault::Gone));
    watched.write_all(&[put("1")]).await.unwrap();
    for _ in 0..3 {
        let gone = watched.write_all(&[put("2")]).await;
        assert!(matches!(gone, Err(KvError::Unavailable { .. })), "{gone:?}");
    }
    assert!(watched.now().await.is_err());
    assert_eq!(value(&store).await.as_deref(), Some("1"));
    assert_eq!(watched.operations().len(), 4);
}

#[tokio::test]
async fn a_held_operation_waits_until_it_is_let_go() {
    let (_place, store) = Place::new("held");
    let until = Arc::new(Notify::new());
    let watched = Watched::new(store.clone(), Plan::new().at(1, Fault::Hold(until.clone())));
    let held = tokio::spawn({
        let watched = watched.clone();
        async move { watched.write_all(&[put("held")]).await }
    });
    while watched.count(Operation::WriteAll) == 0 {
        tokio::task::yield_now().await;
    }
    store.write(put("meanwhile")).await.unwrap();
    assert_eq!(value(&store).await.as_deref(), Some("meanwhile"));
    assert!(!held.is_finished());
    until.notify_one();
    assert!(matches!(held.await.unwrap().unwrap(), WrittenAll::Done(_)));
    assert_eq!(value(&store).await.as_deref(), Some("held"));
}

#[tokio::test]
async fn a_hook_runs_before_or_after_the_operation() {
    let (_place, store) = Place::new("hook");
    let seen = Arc::new(AtomicU64::new(99));
    let look = hook({
        let (store, seen) = (store.clone(), seen.clone());
        move || {
            let (store, seen) = (store.clone(), seen.clone());
            async move {
                let standing = value(&store).await.map_or(0, |value| value.parse().unwrap());
                seen.store(standing, Ordering::SeqCst);
            }
        }
    });
    let plan = Plan::new().at(1, Fault::Before(look.clone())).at(2, Fault::After(look));
    let watched = Watched::new(store.clone(), plan);
    watched.write_each(&[put("1")]).await.unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 0);
    watched.write_each(&[put("2")]).await.unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}
