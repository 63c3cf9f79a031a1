//! Snapshots: taken, verified, compared, restored.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_store::kv::clock::SetClock;
use tidegate_store::kv::snapshot::{
    Difference, Mode, Restored, Selection, SnapshotError, Taken, diff, restore, take, verify,
};
use tidegate_store::kv::sqlite::SqliteKv;
use tidegate_store::kv::watched::{Fault, Operation, Plan, Watched, hook};
use tidegate_store::kv::{Change, Condition, Key, Kv, KvError, Namespace, READ_MAX_BYTES, UnixSecond, Write};

const NOW: i64 = 1_800_000_000;

fn namespace(name: &str) -> Namespace {
    Namespace::new(name).unwrap()
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn put(name: &str, at: &str, value: &[u8], expires_at: Option<i64>) -> Write {
    Write {
        namespace: namespace(name),
        key: key(at),
        change: Change::Put {
            value: value.to_vec().into(),
            metadata: Some(format!(r#"{{"of":{at:?}}}"#)),
            expires_at: expires_at.map(UnixSecond),
        },
        condition: Condition::Always,
    }
}

fn delete(name: &str, at: &str) -> Write {
    Write { change: Change::Delete, ..put(name, at, b"", None) }
}

/// A directory of one test, with a store whose clock stands.
struct Place {
    directory: PathBuf,
    clock: Arc<SetClock>,
    store: Kv,
}

impl Place {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("tidegate-snapshot-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).unwrap();
        let clock = Arc::new(SetClock::new(UnixSecond(NOW)));
        let store = SqliteKv::open_with_clock(&directory.join("store"), clock.clone()).unwrap();
        Self { directory, clock, store: Arc::new(store) }
    }

    /// A place with two namespaces, an item that expires, bytes that are no text, and keys of the tool's own.
    async fn filled(name: &str) -> Self {
        let place = Self::new(name);
        place
            .write(vec![
                put("logs", "trip:n:1", b"one", None),
                put("logs", "trip:n:2", &[0, 159, 146, 150], None),
                put("logs", "trip:n:3", b"", Some(NOW + 100)),
                put("logs", "tidegate:lease", b"ours", None),
                put("users", "user:1", "caf\u{e9}".as_bytes(), None),
                put("users", "schl\u{fc}ssel \"q\"", b"{}", None),
            ])
            .await;
        place
    }

    async fn write(&self, writes: Vec<Write>) {
        self.store.write_each(&writes).await.unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    async fn take(&self) -> Taken {
        take(&*self.store, &both(), None, &self.path("snapshot")).await.unwrap()
    }

    async fn diff(&self) -> Difference {
        diff(&*self.store, &self.path("snapshot"), &Selection::all()).await.unwrap()
    }

    async fn restore(&self, mode: Mode, apply: bool) -> Restored {
        restore(&*self.store, &self.path("snapshot"), mode, &Selection::all(), apply).await.unwrap()
    }

    /// All that stands, without versions.
    async fn contents(&self) -> Vec<(String, String, Vec<u8>, Option<String>, Option<i64>)> {
        let mut contents = Vec::new();
        for namespace in both() {
            for listed in self.store.list_all(&namespace, "", 10_000).await.unwrap() {
                let Some(entry) = self.store.get(&namespace, &listed.key).await.unwrap() else { continue };
                let expires_at = entry.expires_at.map(|at| at.0);
                let (value, key) = (entry.value.to_vec(), listed.key.to_string());
                contents.push((namespace.to_string(), key, value, entry.metadata, expires_at));
            }
        }
        contents
    }

    async fn value(&self, name: &str, at: &str) -> Option<Vec<u8>> {
        self.store.get(&namespace(name), &key(at)).await.unwrap().map(|entry| entry.value.to_vec())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn both() -> Vec<Namespace> {
    vec![namespace("users"), namespace("logs")]
}

fn names(keys: &tidegate_store::kv::snapshot::Keys) -> Vec<String> {
    keys.first.iter().map(|(namespace, key)| format!("{namespace}/{key}")).collect()
}

async fn refusal(path: &Path) -> String {
    verify(path).await.unwrap_err().to_string()
}

#[tokio::test]
async fn what_was_taken_verifies_and_equals_the_store() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::filled("taken").await;
    let taken = place.take().await;
    assert_eq!(taken.attempts, 1);
    assert!(taken.manifest.consistent);
    assert_eq!(taken.manifest.taken_at, "2027-01-15T08:00:00Z");
    assert_eq!(taken.manifest.counts[&namespace("logs")], 3, "the tool's own key is left out");
    assert_eq!(taken.manifest.counts[&namespace("users")], 2);
    assert_eq!(verify(&place.path("snapshot")).await.unwrap(), taken.manifest);
    assert_eq!(place.diff().await, Difference { same: 5, ..Difference::default() });
    let mode = std::fs::metadata(place.path("snapshot")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let left: Vec<_> =
        std::fs::read_dir(&place.directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("partial")), "{left:?}");
}

#[tokio::test]
async fn a_file_that_is_there_is_not_overwritten() {
    let place = Place::filled("exists").await;
    std::fs::write(place.path("snapshot"), "mine").unwrap();
    let refused = take(&*place.store, &both(), None, &place.path("snapshot")).await.unwrap_err();
    assert!(matches!(refused, SnapshotError::Exists { .. }), "{refused}");
    assert_eq!(std::fs::read_to_string(place.path("snapshot")).unwrap(), "mine");
}

#[tokio::test]
async fn every_flipped_bit_and_every_cut_is_refused() {
    let place = Place::filled("flipped").await;
    place.take().await;
    let whole = std::fs::read(place.path("snapshot")).unwrap();
    let bad = place.path("bad");
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            std::fs::write(&bad, &flipped).unwrap();
            let refused = verify(&bad).await;
            assert!(
                matches!(refused, Err(SnapshotError::Damaged { .. })),
                "byte {at}, bit {bit}: {refused:?}"
            );
        }
        std::fs::write(&bad, &whole[..at]).unwrap();
        assert!(matches!(verify(&bad).await, Err(SnapshotError::Damaged { .. })), "cut at {at}");
    }
    std::fs::write(&bad, &whole).unwrap();
    verify(&bad).await.unwrap();
}

#[tokio::test]
async fn lines_that_are_missing_doubled_moved_or_too_many_are_refused_by_place() {
    let place = Place::filled("lines").await;
    place.take().await;
    let whole = std::fs::read_to_string(place.path("snapshot")).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let bad = place.path("bad");
    let with = |lines: &[&str]| std::fs::write(&bad, lines.join("\n") + "\n").unwrap();
    for missing in 0..lines.len() {
        let mut fewer = lines.clone();
        fewer.remove(missing);
        with(&fewer);
        assert!(matches!(verify(&bad).await, Err(SnapshotError::Damaged { .. })), "without line {missing}");
        let mut doubled = lines.clone();
        doubled.insert(missing, lines[missing]);
        with(&doubled);
        assert!(matches!(verify(&bad).await, Err(SnapshotError::Damaged { .. })), "line {missing} twice");
    }
    let mut moved = lines.clone();
    moved.swap(1, 2);
    with(&moved);
    let said = refusal(&bad).await;
    assert!(said.contains("at line 3: its key does not come behind"), "{said}");
    assert!(said.contains("take another copy of it"), "{said}");
    std::fs::write(&bad, format!("{whole}x")).unwrap();
    assert!(refusal(&bad).await.contains("something follows it"));
}

#[tokio::test]
async fn a_damaged_snapshot_changes_nothing() {
    let place = Place::filled("damaged").await;
    place.take().await;
    place.write(vec![put("logs", "trip:n:1", b"later", None)]).await;
    let before = place.contents().await;
    let path = place.path("snapshot");
    let mut bytes = std::fs::read(&path).unwrap();
    // In the last entry, so that a restore that wrote as it read would have written by then.
    let last = bytes.windows(9).rposition(|window| window == b"\"value\":\"").unwrap() + 9;
    bytes[last] = if bytes[last] == b'A' { b'B' } else { b'A' };
    std::fs::write(&path, bytes).unwrap();
    let refused = restore(&*place.store, &path, Mode::Exact, &Selection::all(), true).await.unwrap_err();
    assert!(matches!(refused, SnapshotError::Damaged { .. }), "{refused}");
    assert_eq!(place.contents().await, before);
}

#[tokio::test]
async fn an_exact_restore_brings_back_every_byte_and_removes_what_came_after() {
    let place = Place::filled("exact").await;
    let before = place.contents().await;
    place.take().await;
    place
        .write(vec![
            delete("logs", "trip:n:1"),
            put("logs", "trip:u:1", b"one", None),
            put("logs", "trip:n:2", b"changed", None),
            put("logs", "tidegate:state", b"ours", None),
            put("users", "user:1", "caf\u{e9}".as_bytes(), Some(NOW + 5)),
        ])
        .await;
    let difference = place.diff().await;
    assert_eq!(names(&difference.missing), ["logs/trip:n:1"]);
    assert_eq!(names(&difference.changed), ["logs/trip:n:2", "users/user:1"]);
    assert_eq!(names(&difference.extra), ["logs/trip:u:1"]);
    let changed = place.contents().await;
    let told = place.restore(Mode::Exact, false).await;
    assert_eq!(place.contents().await, changed, "without apply nothing is written");
    let done = place.restore(Mode::Exact, true).await;
    assert_eq!(Restored { applied: true, ..told }, done);
    assert_eq!((done.added.count, done.replaced.count, done.removed.count, done.same), (1, 2, 1, 2));
    assert_eq!(place.value("logs", "tidegate:state").await, Some(b"ours".to_vec()));
    place.write(vec![delete("logs", "tidegate:state")]).await;
    assert_eq!(place.contents().await, before);
    let again = place.restore(Mode::Exact, true).await;
    assert_eq!(again, Restored { applied: true, same: 5, ..Restored::default() });
}

#[tokio::test]
async fn a_restore_of_what_is_missing_overwrites_and_removes_nothing() {
    let place = Place::filled("missing").await;
    place.take().await;
    place
        .write(vec![
            delete("logs", "trip:n:1"),
            put("logs", "trip:n:2", b"newer", None),
            put("logs", "trip:u:1", b"new", None),
        ])
        .await;
    let done = place.restore(Mode::MissingOnly, true).await;
    assert_eq!(names(&done.added), ["logs/trip:n:1"]);
    assert_eq!(names(&done.kept), ["logs/trip:n:2", "logs/trip:u:1"]);
    assert_eq!((done.replaced.count, done.removed.count), (0, 0));
    assert_eq!(place.value("logs", "trip:n:1").await, Some(b"one".to_vec()));
    assert_eq!(place.value("logs", "trip:n:2").await, Some(b"newer".to_vec()));
    assert_eq!(place.value("logs", "trip:u:1").await, Some(b"new".to_vec()));
}

#[tokio::test]
async fn what_has_expired_since_stays_away() {
    let place = Place::filled("expired").await;
    place.take().await;
    place.clock.advance(99);
    place.write(vec![delete("logs", "trip:n:3")]).await;
    assert_eq!(place.restore(Mode::Exact, true).await.added.count, 1);
    let back = place.store.get(&namespace("logs"), &key("trip:n:3")).await.unwrap().unwrap();
    assert_eq!(back.expires_at, Some(UnixSecond(NOW + 100)), "the expiry is that of before");
    place.clock.advance(1);
    let done = place.restore(Mode::Exact, true).await;
    assert_eq!((done.added.count, names(&done.expired)), (0, vec!["logs/trip:n:3".to_owned()]));
    assert_eq!(place.value("logs", "trip:n:3").await, None);
    // Put there anew, it is a key that came after.
    place.write(vec![put("logs", "trip:n:3", b"anew", None)]).await;
    assert_eq!(names(&place.diff().await.extra), ["logs/trip:n:3"]);
}

#[tokio::test]
async fn one_users_entries_are_restored_and_others_left() {
    let place = Place::new("user");
    place.write(vec![put("logs", "trip:a:1", b"a", None), put("logs", "trip:b:1", b"b", None)]).await;
    place.take().await;
    place
        .write(vec![
            put("logs", "trip:a:1", b"x", None),
            put("logs", "trip:b:1", b"x", None),
            put("logs", "trip:a:2", b"x", None),
            put("logs", "trip:b:2", b"x", None),
        ])
        .await;
    let of_a = Selection::all()
        .of([namespace("logs")])
        .only(|namespace, key, _| namespace.as_str() == "logs" && key.as_str().starts_with("trip:a:"));
    let path = place.path("snapshot");
    let done = restore(&*place.store, &path, Mode::Exact, &of_a, true).await.unwrap();
    assert_eq!(
        (names(&done.replaced), names(&done.removed)),
        (vec!["logs/trip:a:1".into()], vec!["logs/trip:a:2".into()])
    );
    assert_eq!(place.value("logs", "trip:b:1").await, Some(b"x".to_vec()));
    assert_eq!(place.value("logs", "trip:b:2").await, Some(b"x".to_vec()));
    let unknown = diff(&*place.store, &path, &Selection::all().of([namespace("other")])).await.unwrap_err();
    assert!(unknown.to_string().contains("has no namespace `other`"), "{unknown}");
}

#[tokio::test]
async fn a_snapshot_of_a_prefix_restores_nothing_outside_it() {
    let place = Place::filled("prefix").await;
    place.write(vec![put("logs", "other:1", b"o", None)]).await;
    let path = place.path("snapshot");
    let taken = take(&*place.store, &both(), Some("trip:"), &path).await.unwrap();
    assert_eq!((taken.manifest.counts[&namespace("logs")], taken.manifest.prefix.as_str()), (3, "trip:"));
    place.write(vec![put("logs", "other:2", b"o", None), put("logs", "trip:x", b"o", None)]).await;
    let done = place.restore(Mode::Exact, true).await;
    assert_eq!(names(&done.removed), ["logs/trip:x"]);
    assert_eq!(place.value("logs", "other:2").await, Some(b"o".to_vec()));
    assert_eq!(place.value("users", "user:1").await, Some("caf\u{e9}".as_bytes().to_vec()));
}

#[tokio::test]
async fn values_that_are_too_large_for_one_reading_together_come_into_the_file_and_back() {
    let place = Place::new("large");
    let part = READ_MAX_BYTES / 4 + 1;
    for number in 0..5_u8 {
        place.write(vec![put("logs", &format!("k{number}"), &vec![number; part], None)]).await;
    }
    let before = place.contents().await;
    let watched = Watched::new(place.store.clone(), Plan::new());
    let taken = take(&*watched, &both(), None, &place.path("snapshot")).await.unwrap();
    assert_eq!((taken.attempts, taken.manifest.consistent), (1, true));
    let read = watched.operations().into_iter().filter(|asked| asked.operation == Operation::GetSome);
    assert_eq!(read.map(|asked| asked.size).collect::<Vec<_>>(), [5, 2], "three of them fit");
    assert_eq!(place.diff().await, Difference { same: 5, ..Difference::default() });
    place.write(vec![delete("logs", "k0"), put("logs", "k4", b"other", None)]).await;
    let restored = place.restore(Mode::Exact, true).await;
    assert_eq!((restored.added.count, restored.replaced.count, restored.same), (1, 1, 3));
    assert!(place.contents().await == before, "it is not as it was");
}

#[tokio::test]
async fn a_write_in_the_middle_makes_it_be_taken_anew() {
    let place = Place::filled("anew").await;
    let store = place.store.clone();
    let meddle = hook(move || {
        let store = store.clone();
        async move {
            store.write(put("logs", "trip:n:1", b"meanwhile", None)).await.unwrap();
        }
    });
    let plan = Plan::new().at_the(Operation::GetSome, 2, Fault::Before(meddle.clone()));
    let watched = Watched::new(place.store.clone(), plan);
    let taken = take(&*watched, &both(), None, &place.path("snapshot")).await.unwrap();
    assert_eq!((taken.attempts, taken.manifest.consistent), (2, true));
    assert_eq!(place.diff().await, Difference { same: 5, ..Difference::default() });

    let mut plan = Plan::new();
    for nth in 1..100 {
        plan = plan.at_the(Operation::GetSome, nth * 2, Fault::Before(meddle.clone()));
    }
    let watched = Watched::new(place.store.clone(), plan);
    let taken = take(&*watched, &both(), None, &place.path("busy")).await.unwrap();
    assert_eq!((taken.attempts, taken.manifest.consistent), (3, false));
    assert!(!verify(&place.path("busy")).await.unwrap().consistent);
}

#[tokio::test]
async fn a_snapshot_that_fails_leaves_no_file() {
    let place = Place::filled("fails").await;
    let count = {
        let watched = Watched::new(place.store.clone(), Plan::new());
        take(&*watched, &both(), None, &place.path("first")).await.unwrap();
        watched.operations().len() as u64
    };
    assert!(count >= 6, "{count}");
    for nth in 1..=count {
        let watched = Watched::new(place.store.clone(), Plan::new().at(nth, Fault::Gone));
        let failed = take(&*watched, &both(), None, &place.path("second")).await.unwrap_err();
        assert!(matches!(failed, SnapshotError::Store(KvError::Unavailable { .. })), "{failed}");
        let left = std::fs::read_dir(&place.directory).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(!left.into_iter().any(|name| name.to_string_lossy().contains("second")), "at {nth}");
    }
}

#[tokio::test]
async fn a_restore_killed_anywhere_is_run_again() {
    let place = Place::new("killed");
    let many =
        |value: &'static [u8]| (0..80).map(move |at| put("logs", &format!("trip:{at:03}"), value, None));
    place.write(many(b"before").collect()).await;
    let before = place.contents().await;
    place.take().await;
    let spoil = async || {
        place.write(many(b"after").take(40).collect()).await;
        place.write((60..80).map(|at| delete("logs", &format!("trip:{at:03}"))).collect()).await;
        place
            .write((0..80).map(|at| put("logs", &format!("trip:{at:03}:x"), b"extra", None)).collect())
            .await;
    };
    spoil().await;
    let path = place.path("snapshot");
    let watched = Watched::new(place.store.clone(), Plan::new());
    restore(&*watched, &path, Mode::Exact, &Selection::all(), true).await.unwrap();
    assert_eq!(place.contents().await, before);
    let count = watched.operations().len() as u64;
    assert!(watched.count(Operation::WriteEach) >= 3, "{:?}", watched.operations());
    for nth in 1..=count {
        for lost in [false, true] {
            spoil().await;
            let mut plan = Plan::new();
            if lost {
                plan = plan.at(nth, Fault::LoseAnswer).at(nth + 1, Fault::Gone);
            } else {
                plan = plan.at(nth, Fault::Gone);
            }
            let watched = Watched::new(place.store.clone(), plan);
            let failed = restore(&*watched, &path, Mode::Exact, &Selection::all(), true).await.unwrap_err();
            assert!(matches!(failed, SnapshotError::Store(_)), "{failed}");
            place.restore(Mode::Exact, true).await;
            assert_eq!(place.contents().await, before, "killed at {nth}, answer lost: {lost}");
        }
    }
}

#[tokio::test]
async fn a_write_during_a_restore_is_judged_anew_and_a_key_that_never_rests_stops_it() {
    let place = Place::filled("contended").await;
    place.take().await;
    place.write(vec![delete("logs", "trip:n:1")]).await;
    let store = place.store.clone();
    let meddle = hook(move || {
        let store = store.clone();
        async move {
            store.write(put("logs", "trip:n:1", b"newer", None)).await.unwrap();
        }
    });
    let path = place.path("snapshot");
    let plan = Plan::new().at_the(Operation::WriteEach, 1, Fault::Before(meddle.clone()));
    let watched = Watched::new(place.store.clone(), plan.clone());
    let done = restore(&*watched, &path, Mode::MissingOnly, &Selection::all(), true).await.unwrap();
    assert_eq!((done.added.count, names(&done.kept)), (0, vec!["logs/trip:n:1".to_owned()]));
    assert_eq!(place.value("logs", "trip:n:1").await, Some(b"newer".to_vec()));

    let watched = Watched::new(place.store.clone(), plan);
    let done = restore(&*watched, &path, Mode::Exact, &Selection::all(), true).await.unwrap();
    assert_eq!(names(&done.replaced), ["logs/trip:n:1"]);
    assert_eq!(place.value("logs", "trip:n:1").await, Some(b"one".to_vec()));

    place.write(vec![delete("logs", "trip:n:1")]).await;
    let mut plan = Plan::new();
    for nth in 1..100 {
        plan = plan.at_the(Operation::WriteEach, nth, Fault::Before(meddle.clone()));
    }
    let watched = Watched::new(place.store.clone(), plan);
    let stopped = restore(&*watched, &path, Mode::Exact, &Selection::all(), true).await.unwrap_err();
    assert!(matches!(stopped, SnapshotError::Contended { .. }), "{stopped}");
}

#[tokio::test]
async fn more_keys_than_a_page_are_taken_and_restored() {
    let place = Place::new("pages");
    for from in [0, 1000, 2000] {
        let writes = (from..from + 1000).map(|at| put("logs", &format!("k{at:05}"), b"v", None));
        place.write(writes.collect()).await;
    }
    let taken = place.take().await;
    assert_eq!(taken.manifest.counts[&namespace("logs")], 3000);
    place.write((0..1000).map(|at| delete("logs", &format!("k{:05}", at * 3))).collect()).await;
    let difference = place.diff().await;
    assert_eq!(
        (difference.missing.count, difference.missing.first.len(), difference.same),
        (1000, 100, 2000)
    );
    assert_eq!(place.restore(Mode::Exact, true).await.added.count, 1000);
    assert_eq!(place.diff().await, Difference { same: 3000, ..Difference::default() });
}
