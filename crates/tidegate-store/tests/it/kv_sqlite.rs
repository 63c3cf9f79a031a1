//! The embedded store's file: made once by many, refused where it is another's, swept of what has expired.

use std::path::PathBuf;
use std::sync::Arc;

use tidegate_store::kv::clock::SetClock;
use tidegate_store::kv::sqlite::SqliteKv;
use tidegate_store::kv::{Change, Condition, Key, Kv, KvError, KvStore as _, Namespace, UnixSecond, Write};

fn place(hint: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tidegate-kv-{hint}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn put(key: &str, expires_at: Option<UnixSecond>) -> Write {
    Write {
        namespace: Namespace::new("n").unwrap(),
        key: Key::new(key).unwrap(),
        change: Change::Put { value: "v".into(), metadata: None, expires_at },
        condition: Condition::Always,
    }
}

#[tokio::test]
async fn a_file_of_another_program_is_refused_as_it_is() {
    let folder = place("other");
    let path = folder.join("other.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE notes (id INTEGER); INSERT INTO notes VALUES (1)").unwrap();
    drop(other);
    let before = std::fs::read(&path).unwrap();
    let refused = SqliteKv::open(&path).unwrap_err();
    assert!(matches!(refused, KvError::Corrupt { .. }), "{refused}");
    assert!(refused.to_string().contains("another program"), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), before, "not a byte of it was changed");
    std::fs::write(&path, b"no database at all, and longer than a header of one would be ........................................................").unwrap();
    assert!(SqliteKv::open(&path).is_err());
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_that_many_open_at_once_is_made_once() {
    let folder = place("many");
    let path = folder.join("kv.db");
    let mut opening = Vec::new();
    for number in 0..8 {
        let path = path.clone();
        opening.push(tokio::spawn(async move {
            let store = SqliteKv::open(&path).unwrap();
            let store: Kv = Arc::new(store);
            store.write(put(&format!("k{number}"), None)).await.unwrap();
        }));
    }
    for opened in opening {
        opened.await.unwrap();
    }
    let store: Kv = Arc::new(SqliteKv::open(&path).unwrap());
    let listed = store.list_all(&Namespace::new("n").unwrap(), "k", 100).await.unwrap();
    let versions: std::collections::BTreeSet<_> = listed.iter().map(|listed| listed.version).collect();
    assert_eq!((listed.len(), versions.len()), (8, 8));
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn what_has_expired_is_swept_and_nothing_else() {
    let folder = place("sweep");
    let clock = Arc::new(SetClock::new(UnixSecond(1_000)));
    let store = SqliteKv::open_with_clock(&folder.join("kv.db"), clock.clone()).unwrap();
    let shared: Kv = Arc::new(store.clone());
    let writes =
        [put("stays", None), put("ends", Some(UnixSecond(1_010))), put("later", Some(UnixSecond(1_020)))];
    shared.write_all(&writes).await.unwrap();
    assert_eq!(store.sweep(100).await.unwrap(), 0);
    clock.set(UnixSecond(1_010));
    assert_eq!(store.sweep(100).await.unwrap(), 1);
    assert_eq!(shared.list_all(&Namespace::new("n").unwrap(), "", 100).await.unwrap().len(), 2);
    std::fs::remove_dir_all(folder).unwrap();
}
