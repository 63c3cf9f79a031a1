//! Comparing a store with a snapshot: both are read once, side by side, in the order of their keys.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::path::Path;

use super::super::{Entry, Key, KvStore, Namespace, UnixSecond, Version};
use super::listing::Listing;
use super::reader::{Held, Reader};
use super::{BATCH_BYTES, BATCH_ENTRIES, Difference, Selection, SnapshotError};

/// Compares a store with a snapshot, within a selection. Nothing is written.
///
/// # Errors
/// [`SnapshotError`]; also where the snapshot is not whole.
pub async fn diff(
    store: &dyn KvStore,
    path: &Path,
    selection: &Selection,
) -> Result<Difference, SnapshotError> {
    let mut comparison = Comparison::new(store, Reader::open(path).await?, selection)?;
    let mut difference = Difference::default();
    while let Some(batch) = comparison.next().await? {
        for judged in batch {
            let (namespace, key) = (&judged.pair.namespace, &judged.pair.key);
            match judged.kind {
                Kind::Missing => difference.missing.add(namespace, key),
                Kind::Changed => difference.changed.add(namespace, key),
                Kind::Extra => difference.extra.add(namespace, key),
                Kind::Expired => difference.expired.add(namespace, key),
                Kind::Same => difference.same = difference.same.saturating_add(1),
                Kind::Unwanted => {}
            }
        }
    }
    Ok(difference)
}

/// What a key is, compared with the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The store lacks it.
    Missing,
    /// The store has something else there.
    Changed,
    /// Only the store has it.
    Extra,
    /// The snapshot's has expired since, and the store has nothing there.
    Expired,
    /// Both have the same.
    Same,
    /// It is not selected, or nothing stands at it any more.
    Unwanted,
}

/// A key with what the snapshot holds there.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) namespace: Namespace,
    pub(super) key: Key,
    pub(super) held: Option<Held>,
}

/// A key that was judged.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub(super) pair: Pair,
    pub(super) kind: Kind,
    /// The version that was seen in the store.
    pub(super) standing: Option<Version>,
}

/// A store and a snapshot, read side by side.
pub(super) struct Comparison<'a> {
    store: &'a dyn KvStore,
    selection: &'a Selection,
    reader: Reader,
    ahead: Option<Held>,
    left: VecDeque<Namespace>,
    listing: Option<(Namespace, Listing)>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(
        store: &'a dyn KvStore,
        reader: Reader,
        selection: &'a Selection,
    ) -> Result<Self, SnapshotError> {
        let left = selection.within(reader.manifest(), reader.path())?.into();
        Ok(Self { store, selection, reader, ahead: None, left, listing: None })
    }

    /// The next keys, all of one namespace, at most [`BATCH_ENTRIES`]; none at the end.
    ///
    /// The listing is always ahead of the keys that were answered, so that what is written at these never shows up
    /// in it.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Judged>>, SnapshotError> {
        loop {
            let Some((namespace, mut listing)) = self.listing.take() else {
                let Some(namespace) = self.left.pop_front() else {
                    while self.take_held().await?.is_some() {}
                    return Ok(None);
                };
                let listing = Listing::new(&namespace, &self.reader.manifest().prefix);
                self.listing = Some((namespace, listing));
                continue;
            };
            let pairs = self.pairs(&namespace, &mut listing).await?;
            if pairs.is_empty() {
                continue;
            }
            self.listing = Some((namespace, listing));
            return Ok(Some(judge(self.store, self.selection, pairs).await?));
        }
    }

    /// The next keys of the file and of the store.
    async fn pairs(
        &mut self,
        namespace: &Namespace,
        listing: &mut Listing,
    ) -> Result<Vec<Pair>, SnapshotError> {
        let (mut pairs, mut bytes) = (Vec::with_capacity(BATCH_ENTRIES), 0_usize);
        while pairs.len() < BATCH_ENTRIES && bytes < BATCH_BYTES {
            let held = self.peek_held(namespace).await?.map(|held| held.key.clone());
            let standing = listing.peek(self.store).await?.map(|listed| listed.key.clone());
            let order = match (&held, &standing) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(held), Some(standing)) => held.cmp(standing),
            };
            let held = if order == Ordering::Greater { None } else { self.take_held().await? };
            let listed = if order == Ordering::Less { None } else { listing.next(self.store).await? };
            let key = match (&held, &listed) {
                (Some(held), _) => held.key.clone(),
                (None, Some(listed)) => listed.key.clone(),
                (None, None) => break,
            };
            bytes = bytes.saturating_add(held.as_ref().map_or(0, |held| held.value.len()));
            pairs.push(Pair { namespace: namespace.clone(), key, held });
        }
        Ok(pairs)
    }

    /// The file's next entry, if it is of this namespace; those of namespaces before it are passed over.
    async fn peek_held(&mut self, namespace: &Namespace) -> Result<Option<&Held>, SnapshotError> {
        loop {
            if self.ahead.is_none() {
                self.ahead = self.reader.next().await?;
            }
            match &self.ahead {
                Some(held) if held.namespace < *namespace => self.ahead = None,
                _ => break,
            }
        }
        Ok(self.ahead.as_ref().filter(|held| held.namespace == *namespace))
    }

    async fn take_held(&mut self) -> Result<Option<Held>, SnapshotError> {
        match self.ahead.take() {
            Some(held) => Ok(Some(held)),
            None => self.reader.next().await,
        }
    }
}

/// Judges keys of one namespace by what stands at them now.
pub(super) async fn judge(
    store: &dyn KvStore,
    selection: &Selection,
    pairs: Vec<Pair>,
) -> Result<Vec<Judged>, SnapshotError> {
    let mut judged = Vec::with_capacity(pairs.len());
    let mut pairs = VecDeque::from(pairs);
    while let Some(first) = pairs.front() {
        let keys: Vec<Key> = pairs.iter().map(|pair| pair.key.clone()).collect();
        let standing = store.next_of(&first.namespace, &keys).await?;
        // Asked behind the reading: what was read then had not expired before.
        let now = store.now().await?;
        for (pair, standing) in pairs.drain(..standing.len().min(keys.len())).zip(standing) {
            let kind = kind(selection, &pair, standing.as_ref(), now);
            judged.push(Judged { pair, kind, standing: standing.map(|entry| entry.version) });
        }
    }
    Ok(judged)
}

fn kind(selection: &Selection, pair: &Pair, standing: Option<&Entry>, now: UnixSecond) -> Kind {
    let judged_by = pair.held.as_ref().map(|held| &held.value).or(standing.map(|entry| &entry.value));
    let wanted = judged_by.is_some_and(|value| selection.wants(&pair.namespace, &pair.key, value));
    if !wanted {
        return Kind::Unwanted;
    }
    let held = pair.held.as_ref();
    let live = held.filter(|held| held.expires_at.is_none_or(|expires_at| expires_at > now));
    match (live, standing) {
        (Some(held), Some(entry)) => {
            let same = held.value == entry.value
                && held.metadata == entry.metadata
                && held.expires_at == entry.expires_at;
            if same { Kind::Same } else { Kind::Changed }
        }
        (Some(_), None) => Kind::Missing,
        (None, Some(_)) => Kind::Extra,
        (None, None) => Kind::Expired,
    }
}
