//! Restoring a snapshot.

use std::path::Path;

use super::super::{Change, Condition, KvError, KvStore, Write, Written};
use super::comparing::{Comparison, Judged, Kind, Pair, judge};
use super::reader::Reader;
use super::{AtMost, Mode, ROUNDS_MAX, Restored, Selection, SnapshotError};

/// Restores a snapshot into a store, within a selection; without `apply` it only says what it would do.
///
/// The whole file is verified before the first write. Each write is conditional on what was seen at its key; where
/// somebody else was faster, the key is judged anew, at most [`ROUNDS_MAX`] times. Entries that have expired since
/// they were taken stay away. Writes that others make behind the place where the restore is are not undone: stop them
/// first, and compare with [`diff`](super::diff) afterwards.
///
/// # Errors
/// [`SnapshotError`]; what was written until then stays.
///
/// # Idempotence
/// A restore that stopped, or was killed, is run again.
pub async fn restore(
    store: &dyn KvStore,
    path: &Path,
    mode: Mode,
    selection: &Selection,
    apply: bool,
) -> Result<Restored, SnapshotError> {
    restore_at_most(store, path, mode, selection, apply, AtMost::ANY).await
}

/// As [`restore`], and stops before more is overwritten or removed than `at_most`.
///
/// # Errors
/// As [`restore`]; [`SnapshotError::TooMany`].
///
/// # Idempotence
/// As [`restore`].
pub async fn restore_at_most(
    store: &dyn KvStore,
    path: &Path,
    mode: Mode,
    selection: &Selection,
    apply: bool,
    at_most: AtMost,
) -> Result<Restored, SnapshotError> {
    let mut reader = Reader::open(path).await?;
    while reader.next().await?.is_some() {}
    let mut comparison = Comparison::new(store, reader.rewound().await?, selection)?;
    let mut restored = Restored { applied: apply, ..Restored::default() };
    while let Some(batch) = comparison.next().await? {
        let mut left = batch;
        let mut rounds = 0;
        while let Some(first) = left.first() {
            if rounds == ROUNDS_MAX {
                let (namespace, key) = (first.pair.namespace.clone(), first.pair.key.clone());
                return Err(SnapshotError::Contended { namespace, key });
            }
            rounds += 1;
            must_be_within(at_most, mode, &left, &restored)?;
            let refused = write(store, mode, left, apply, &mut restored).await?;
            left = judge(store, selection, refused).await?;
        }
    }
    Ok(restored)
}

/// Refuses a batch with which more would be lost than may be.
fn must_be_within(
    at_most: AtMost,
    mode: Mode,
    batch: &[Judged],
    restored: &Restored,
) -> Result<(), SnapshotError> {
    let exact = mode == Mode::Exact;
    let more = |kind: Kind| {
        let count = batch.iter().filter(|judged| exact && judged.kind == kind).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    };
    let replaced = restored.replaced.count.saturating_add(more(Kind::Changed));
    let removed = restored.removed.count.saturating_add(more(Kind::Extra));
    match replaced > at_most.replaced || removed > at_most.removed {
        true => Err(SnapshotError::TooMany { at_most }),
        false => Ok(()),
    }
}

/// Makes the writes that these keys want; answers those that were refused.
async fn write(
    store: &dyn KvStore,
    mode: Mode,
    batch: Vec<Judged>,
    apply: bool,
    restored: &mut Restored,
) -> Result<Vec<Pair>, SnapshotError> {
    let mut wanted = Vec::new();
    let mut writes = Vec::new();
    for judged in batch {
        match write_of(mode, &judged) {
            Some(write) => {
                writes.push(write);
                wanted.push(judged);
            }
            None => tally_unwritten(restored, &judged),
        }
    }
    let written = match (apply, writes.is_empty()) {
        (true, false) => store.write_each(&writes).await?,
        _ => vec![Written::Done(None); writes.len()],
    };
    if written.len() != wanted.len() {
        return Err(SnapshotError::Store(KvError::Corrupt {
            store: format!("{store:?}"),
            message: format!("it answered {} writes with {} results", wanted.len(), written.len()),
        }));
    }
    let mut refused = Vec::new();
    for (judged, written) in wanted.into_iter().zip(written) {
        match written {
            Written::Refused(_) => refused.push(judged.pair),
            Written::Done(_) => tally_written(restored, &judged),
        }
    }
    Ok(refused)
}

/// The write that makes a key what the snapshot says; none where it is so, or is left.
fn write_of(mode: Mode, judged: &Judged) -> Option<Write> {
    let pair = &judged.pair;
    let condition = judged.standing.map_or(Condition::Absent, Condition::Version);
    match (judged.kind, mode, &pair.held) {
        (Kind::Missing, _, Some(held)) | (Kind::Changed, Mode::Exact, Some(held)) => {
            Some(held.put(condition))
        }
        (Kind::Extra, Mode::Exact, _) => Some(Write {
            namespace: pair.namespace.clone(),
            key: pair.key.clone(),
            change: Change::Delete,
            condition,
        }),
        _ => None,
    }
}

fn tally_written(restored: &mut Restored, judged: &Judged) {
    let keys = match judged.kind {
        Kind::Missing => &mut restored.added,
        Kind::Extra => &mut restored.removed,
        _ => &mut restored.replaced,
    };
    keys.add(&judged.pair.namespace, &judged.pair.key);
}

fn tally_unwritten(restored: &mut Restored, judged: &Judged) {
    let (namespace, key) = (&judged.pair.namespace, &judged.pair.key);
    match judged.kind {
        Kind::Same => restored.same = restored.same.saturating_add(1),
        Kind::Expired => restored.expired.add(namespace, key),
        Kind::Unwanted => {}
        Kind::Missing | Kind::Changed | Kind::Extra => restored.kept.add(namespace, key),
    }
}
