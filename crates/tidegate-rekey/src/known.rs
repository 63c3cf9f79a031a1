//! What the journal knows of a subject, read once at the start of a run.

use std::collections::{HashMap, HashSet};

use tidegate_store::kv::{Entry, Key, Namespace, PAGE_MAX, Version};

use crate::asking::Asking;
use crate::document::{Cursor, Decision, Held, Settled, prefix, read, record_hash};
use crate::verdict::{Copied, Decided};
use crate::{RekeyError, Resolution, State};

/// Most journal keys of one subject.
const JOURNAL_KEYS_MAX: usize = 200_000;
/// Journal documents that are read at once. A chunk of the ledger may have a few hundred kilobytes.
const READ_AT_ONCE: usize = 50;

/// What the journal knows of a subject.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) state: Option<(State, Version)>,
    /// By what stands behind `cursor:` in the key.
    pub(crate) cursors: HashMap<String, Cursor>,
    pub(crate) ledger: Ledger,
    /// The number of the next chunk of the ledger.
    pub(crate) next_chunk: u64,
    /// By the record's hash.
    pub(crate) held: HashMap<String, Held>,
    /// By the record's hash.
    pub(crate) decisions: HashMap<String, Decision>,
}

impl Known {
    pub(crate) async fn load(store: &Asking, journal: &Namespace, id: &str) -> Result<Self, RekeyError> {
        let mut known = Self::default();
        let all = prefix(id);
        let (mut after, mut seen): (Option<Key>, usize) = (None, 0);
        loop {
            let page = store.list(journal, &all, after.as_ref(), PAGE_MAX).await?;
            seen += page.entries.len();
            if seen > JOURNAL_KEYS_MAX {
                return Err(RekeyError::TooMany {
                    what: "journal keys of one subject",
                    limit: JOURNAL_KEYS_MAX,
                });
            }
            let keys: Vec<Key> = page.entries.into_iter().map(|listed| listed.key).collect();
            let is_read = |key: &&Key| {
                let rest = key.as_str().strip_prefix(&all).unwrap_or_default();
                rest == "state"
                    || ["cursor:", "ledger:", "quarantine:", "resolution:"]
                        .iter()
                        .any(|kind| rest.starts_with(kind))
            };
            let wanted: Vec<Key> = keys.iter().filter(is_read).cloned().collect();
            for some in wanted.chunks(READ_AT_ONCE) {
                for (key, entry) in some.iter().zip(store.get_many(journal, some).await?) {
                    if let Some(entry) = entry {
                        known.take(key.as_str().strip_prefix(&all).unwrap_or_default(), key, &entry)?;
                    }
                }
            }
            after = keys.into_iter().last();
            if page.complete {
                return Ok(known);
            }
        }
    }

    fn take(&mut self, rest: &str, key: &Key, entry: &Entry) -> Result<(), RekeyError> {
        if rest == "state" {
            self.state = Some((read(key, entry)?, entry.version));
        } else if let Some(name) = rest.strip_prefix("cursor:") {
            self.cursors.insert(name.to_owned(), read(key, entry)?);
        } else if let Some(hash) = rest.strip_prefix("quarantine:") {
            self.held.insert(hash.to_owned(), read(key, entry)?);
        } else if let Some(hash) = rest.strip_prefix("resolution:") {
            self.decisions.insert(hash.to_owned(), read(key, entry)?);
        } else if let Some(number) = rest.strip_prefix("ledger:") {
            let number: u64 = number.parse().map_err(|_| RekeyError::Corrupt {
                key: key.to_string(),
                message: "a chunk of the ledger has a number at its end".to_owned(),
            })?;
            self.next_chunk = self.next_chunk.max(number + 1);
            let settled: Vec<Settled> = read(key, entry)?;
            settled.into_iter().for_each(|settled| self.ledger.add(settled));
        }
        Ok(())
    }

    /// What was decided on a record as it is now. `hash` is of its key, `sha256` of its bytes.
    pub(crate) fn decided(&self, id: &str, hash: &str, sha256: impl Fn() -> String) -> Option<Decided> {
        let decision = self.decisions.get(hash)?;
        if decision.sha256 != sha256() {
            return None;
        }
        match &decision.resolution {
            Resolution::Give { to_id } if to_id == id => Some(Decided::Given),
            // Given to somebody else: for this subject it is settled.
            Resolution::Give { .. } | Resolution::Leave => Some(Decided::Left),
        }
    }

    /// Records that decisions gave to this subject.
    pub(crate) fn given<'k>(&'k self, id: &'k str) -> impl Iterator<Item = &'k Decision> {
        self.decisions
            .values()
            .filter(move |decision| matches!(&decision.resolution, Resolution::Give { to_id } if to_id == id))
    }
}

/// The records that were settled, by namespace.
#[derive(Debug, Default)]
pub(crate) struct Ledger(HashMap<String, Places>);

#[derive(Debug, Default)]
struct Places {
    /// The version that was settled last, by legacy key.
    sources: HashMap<String, Version>,
    /// New keys.
    destinations: HashSet<String>,
}

impl Ledger {
    /// Takes one in, after all that were settled before it.
    pub(crate) fn add(&mut self, settled: Settled) {
        // In place there is no legacy key that stays behind.
        if settled.source == settled.destination {
            return;
        }
        let places = self.0.entry(settled.namespace).or_default();
        places.sources.insert(settled.source, Version(settled.version));
        places.destinations.insert(settled.destination);
    }

    pub(crate) fn version(&self, namespace: &Namespace, source: &Key) -> Option<Version> {
        self.0.get(namespace.as_str())?.sources.get(source.as_str()).copied()
    }

    pub(crate) fn copied(&self, namespace: &Namespace, source: &Key, destination: Option<&Key>) -> Copied {
        let Some(places) = self.0.get(namespace.as_str()) else { return Copied::default() };
        Copied {
            source: places.sources.get(source.as_str()).copied(),
            destination: destination.is_some_and(|key| places.destinations.contains(key.as_str())),
        }
    }

    /// Every settled source: namespace, key, version.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&str, &str, Version)> {
        self.0.iter().flat_map(|(namespace, places)| {
            let sources = places.sources.iter();
            sources.map(move |(key, version)| (namespace.as_str(), key.as_str(), *version))
        })
    }
}

/// The hash of a record's place, for [`Known::held`] and [`Known::decisions`].
pub(crate) fn hash_of(namespace: &Namespace, key: &Key) -> String {
    record_hash(namespace.as_str(), key.as_str())
}
