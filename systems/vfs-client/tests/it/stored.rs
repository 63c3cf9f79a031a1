//! The store: whole after every crash, every torn write, every flipped bit, and on a full disk.

use std::path::{Path, PathBuf};

use serde_json::Value;
use vfs_client::store::{Beside, Store, StoreError, Touched};
use vfs_core::client::{Client, Effect, LocalOperation, Options, Outcome, Reply, ReplyBody};
use vfs_core::page::PulledPage;
use vfs_core::pulled_items::PulledItems;
use vfs_core::{FeedItem, OpType, Timestamp};

use crate::ground::Scratch;

/// Numbers that look random and are the same in every run.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn options() -> Options {
    Options::new("ada", "desk").unwrap()
}

fn at(number: u64) -> Timestamp {
    Timestamp::from_millisecond(1_771_099_200_000 + i64::try_from(number).unwrap()).unwrap()
}

/// An item of the feed, at a place of it.
fn item(draw: &mut Draw, place: u64) -> FeedItem {
    let (item, other) = (format!("i{}", draw.below(12)), format!("p{}", draw.below(5)));
    let kind = [OpType::AclAdd, OpType::AclRemove, OpType::LinkAdd, OpType::LinkRemove]
        [usize::try_from(draw.below(4)).unwrap()];
    let (is_acl, adds) = (kind.is_acl(), kind == OpType::AclAdd);
    FeedItem {
        op_id: format!("0001-{place:016}"),
        item_id: item.clone(),
        op_type: kind,
        principal_type: is_acl.then_some(vfs_core::PrincipalType::User),
        principal_id: is_acl.then(|| other.clone()),
        access_level: adds.then_some(vfs_core::AccessLevel::Write),
        parent_id: (!is_acl).then(|| other.clone()),
        child_id: (!is_acl).then_some(item),
        actor_id: Some("ada".to_owned()),
        source_table: "vfs_crdt_client_push".to_owned(),
        source_id: "x".to_owned(),
        occurred_at: at(place).to_string(),
    }
}

/// A client and its store, side by side, as a device runs them; the exports of every commit.
struct Kept {
    client: Client,
    store: Store,
    path: PathBuf,
    exports: Vec<Value>,
    place: u64,
}

impl Kept {
    fn new(directory: &Path) -> Self {
        let path = directory.join("client.db");
        let store = Store::open(&path).unwrap();
        let client = Client::new(options());
        let exports = vec![serde_json::to_value(client.export_state()).unwrap()];
        Self { client, store, path, exports, place: 0 }
    }

    fn keep(&mut self, touched: &Touched<'_>) -> Result<(), StoreError> {
        self.store.keep(&self.client, touched, &Beside::default())?;
        self.exports.push(serde_json::to_value(self.client.export_state()).unwrap());
        Ok(())
    }

    fn queue(&mut self, number: u64) -> Result<(), StoreError> {
        let link = LocalOperation::link(OpType::LinkAdd, "p", &format!("mine-{number}"));
        self.client.queue_local_operation(&link, at(number)).unwrap();
        self.keep(&Touched::Queue)
    }

    /// Reads a page of the feed, to its end.
    fn page(&mut self, draw: &mut Draw, count: u64) -> Result<(), StoreError> {
        let items: PulledItems = (0..count)
            .map(|_| {
                self.place += 1;
                item(draw, self.place)
            })
            .collect();
        let page = PulledPage {
            items: items.clone(),
            next_cursor: None,
            has_more: false,
            last_reconciled_write_ids: serde_json::json!({ "desk": 1, "lap": self.place }),
        };
        let effects = self.client.sync().effects();
        let Some(Effect::Send { id, .. }) = effects.first() else { panic!("{effects:?}") };
        let effects = self.client.reply(*id, Reply::of(ReplyBody::Pulled(page)));
        assert!(effects.contains(&Effect::Persist), "{effects:?}");
        self.keep(&Touched::Page(&items))?;
        let Some(Effect::Send { id, .. }) = effects.last() else { panic!("{effects:?}") };
        let state = self.client.reconciled().unwrap().clone();
        let write_ids = serde_json::to_value(&state.last_reconciled_write_ids).unwrap();
        let reconciled = ReplyBody::Reconciled { cursor: Some(state.cursor), write_ids };
        let effects = self.client.reply(*id, Reply::of(reconciled));
        assert!(matches!(effects.last(), Some(Effect::Finished(Ok(Outcome { .. })))), "{effects:?}");
        self.keep(&Touched::Queue)
    }

    /// What somebody who comes anew finds.
    fn found(path: &Path) -> Result<Value, StoreError> {
        let mut store = Store::open(path)?;
        Ok(serde_json::to_value(store.load(options())?.export_state()).unwrap())
    }
}

fn copy(from: &Path, to: &Path, endings: &[&str]) {
    for ending in endings {
        let name = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        let _gone = std::fs::remove_file(name(to));
        if name(from).exists() {
            std::fs::copy(name(from), name(to)).unwrap();
        }
    }
}

#[test]
fn what_is_kept_page_by_page_is_the_whole_state_whatever_the_pages() {
    for seed in 0..40 {
        let scratch = Scratch::new("pages");
        let (mut kept, mut draw) = (Kept::new(&scratch.0), Draw(seed));
        for step in 0..30 {
            if draw.below(3) == 0 {
                kept.queue(step).unwrap();
            } else {
                let count = 1 + draw.below(6);
                kept.page(&mut draw, count).unwrap();
            }
        }
        let found = Kept::found(&kept.path).unwrap();
        assert_eq!(Some(&found), kept.exports.last(), "seed {seed}");
    }
}

#[test]
fn a_write_that_was_torn_anywhere_leaves_a_state_that_was_kept() {
    let scratch = Scratch::new("torn");
    let (mut kept, mut draw) = (Kept::new(&scratch.0), Draw(7));
    for step in 0..12 {
        kept.queue(step).unwrap();
        kept.page(&mut draw, 3).unwrap();
    }
    let mut log = kept.path.as_os_str().to_owned();
    log.push("-wal");
    let length = std::fs::metadata(&log).unwrap().len();
    assert!(length > 50_000, "there is a log to be torn: {length}");
    let torn = scratch.0.join("torn.db");
    let mut states = std::collections::BTreeSet::new();
    for cut in (0..=length).step_by(509) {
        copy(&kept.path, &torn, &["", "-wal", "-shm"]);
        let mut torn_log = torn.as_os_str().to_owned();
        torn_log.push("-wal");
        std::fs::OpenOptions::new().write(true).open(&torn_log).unwrap().set_len(cut).unwrap();
        copy(Path::new("/nowhere"), &torn, &["-shm"]);
        let found = Kept::found(&torn).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        let place = kept.exports.iter().position(|kept| *kept == found);
        states.insert(place.unwrap_or_else(|| panic!("cut at {cut}: a state that never was: {found}")));
    }
    assert!(states.len() > 20, "cuts found many different states: {states:?}");
}

#[test]
fn a_flipped_bit_is_refused_or_changes_nothing() {
    let scratch = Scratch::new("flipped");
    let (mut kept, mut draw) = (Kept::new(&scratch.0), Draw(9));
    for step in 0..8 {
        kept.queue(step).unwrap();
        kept.page(&mut draw, 4).unwrap();
    }
    let (path, last) = (kept.path.clone(), kept.exports.last().unwrap().clone());
    // Without a log: all of it is in the one file.
    drop(kept);
    let bytes = std::fs::read(&path).unwrap();
    let flipped = scratch.0.join("flipped.db");
    let (mut refused, mut unharmed) = (0, 0);
    for _ in 0..400 {
        let mut damaged = bytes.clone();
        let place = usize::try_from(draw.below(bytes.len() as u64)).unwrap();
        damaged[place] ^= 1 << draw.below(8);
        copy(Path::new("/nowhere"), &flipped, &["-wal", "-shm"]);
        std::fs::write(&flipped, &damaged).unwrap();
        match Kept::found(&flipped) {
            Ok(found) => {
                assert_eq!(found, last, "byte {place}");
                unharmed += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 50 && unharmed > 0, "{refused} refused, {unharmed} unharmed");
}

#[test]
fn on_a_full_disk_a_step_is_kept_or_refused_and_what_was_kept_stays() {
    let scratch = Scratch::new("full");
    let (mut kept, mut draw) = (Kept::new(&scratch.0), Draw(11));
    kept.page(&mut draw, 5).unwrap();
    kept.store.bound(160 << 10).unwrap();
    let mut number = 0;
    let error = loop {
        number += 1;
        assert!(number < 10_000, "the disk is never full");
        if let Err(error) = kept.queue(number) {
            break error;
        }
    };
    assert!(matches!(error, StoreError::Full), "{error:?}");
    assert_eq!(error.to_string().split(':').next(), Some("the disk is full"));
    assert!(number > 100, "{number}");
    assert_eq!(Some(&Kept::found(&kept.path).unwrap()), kept.exports.last());
}

#[test]
fn a_store_of_a_newer_program_is_left_alone() {
    let scratch = Scratch::new("newer");
    let kept = Kept::new(&scratch.0);
    let path = kept.path.clone();
    drop(kept);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 2).unwrap();
    drop(connection);
    let error = Store::open(&path).unwrap_err();
    assert!(
        error.to_string().ends_with("was written by a newer vfs (format 2, here 1); use that one"),
        "{error}"
    );
}

#[test]
fn state_that_somebody_else_changed_is_refused() {
    let scratch = Scratch::new("changed");
    let (mut kept, mut draw) = (Kept::new(&scratch.0), Draw(3));
    kept.page(&mut draw, 9).unwrap();
    kept.queue(1).unwrap();
    let path = kept.path.clone();
    drop(kept);
    for change in [
        "UPDATE state SET value = replace(value, 'mine-1', 'mine-2') WHERE kind = 'pending'",
        "DELETE FROM state WHERE kind = 'clock' AND key = (SELECT min(key) FROM state WHERE kind = 'clock')",
        "INSERT INTO state VALUES ('link', 'x', '{\"parentId\":\"a\",\"childId\":\"b\"}')",
        "DELETE FROM meta WHERE name = 'sum'",
        "DELETE FROM state",
    ] {
        let changed = scratch.0.join("changed.db");
        copy(&path, &changed, &["", "-wal", "-shm"]);
        let connection = rusqlite::Connection::open(&changed).unwrap();
        assert!(connection.execute(change, []).unwrap() > 0, "{change}");
        drop(connection);
        let error = Kept::found(&changed).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{change}: {error:?}");
    }
}
