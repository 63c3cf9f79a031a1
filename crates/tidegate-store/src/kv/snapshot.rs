//! Snapshots of namespaces: a file of JSON lines that a store is compared with and restored from.
//!
//! The first line says what was taken, of which store and when; each further line is one entry, in the order of
//! namespaces and of the keys' bytes; the last is the manifest: counts, whether the entries stood together at one
//! moment, and the SHA-256 of all bytes before that line (`head -n -1 FILE | sha256sum` finds the same).
//!
//! The file holds every value as it is, so that only its owner may read it. Keys that start with [`RESERVED_PREFIX`]
//! are the tool's own: they are neither taken, nor written, nor removed.

mod comparing;
mod file_form;
mod listing;
mod reader;
mod restoring;
mod taking;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::{Key, KvError, Namespace};

pub use comparing::diff;
pub use reader::verify;
pub use restoring::{restore, restore_at_most};
pub use taking::take;

/// Keys that start so are the tool's own.
pub const RESERVED_PREFIX: &str = "tidegate:";
/// How often a snapshot is taken anew because something was written meanwhile, before it is kept as it is and says so.
pub const ATTEMPTS_MAX: u32 = 3;
/// How often a restore judges a key anew because somebody else wrote there, before it stops.
pub const ROUNDS_MAX: u32 = 5;
/// Most keys that a [`Keys`] names.
pub const KEYS_NAMED_MAX: usize = 100;
/// Entries of one reading or batch of writes.
const BATCH_ENTRIES: usize = 32;
/// A batch ends behind the entry with which its values reach this.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// What a snapshot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// When it was begun, by the store's clock, as RFC 3339 in UTC.
    pub taken_at: String,
    /// The store that it was taken of, without its password.
    pub store: String,
    /// What its keys start with; empty: all keys were taken.
    pub prefix: String,
    /// Entries in each namespace that was taken, also where there are none.
    pub counts: BTreeMap<Namespace, u64>,
    /// Whether all entries stood in the store together at one moment. A key that came and went while it was taken is
    /// not noticed.
    pub consistent: bool,
    /// Of all bytes before the manifest's line, in lower-case hexadecimal.
    pub sha256: String,
}

/// A snapshot that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// What it holds.
    pub manifest: Manifest,
    /// How often it was begun: 1 to [`ATTEMPTS_MAX`].
    pub attempts: u32,
}

/// Says of an entry whether it is wanted, by its namespace, key and value.
pub type Only = Box<dyn Fn(&Namespace, &Key, &[u8]) -> bool + Send + Sync>;

/// Which entries of a snapshot and of a store are compared or restored.
#[derive(Default)]
pub struct Selection {
    namespaces: Option<Vec<Namespace>>,
    only: Option<Only>,
}

impl Selection {
    /// Everything that was taken.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only these namespaces.
    #[must_use]
    pub fn of(mut self, namespaces: impl IntoIterator<Item = Namespace>) -> Self {
        self.namespaces = Some(namespaces.into_iter().collect());
        self
    }

    /// Only the entries that `only` wants. An entry of the snapshot is judged by the value in the snapshot, an entry
    /// that only the store has by the value there: where both may be one user's, `only` must know both.
    #[must_use]
    pub fn only(mut self, only: impl Fn(&Namespace, &Key, &[u8]) -> bool + Send + Sync + 'static) -> Self {
        self.only = Some(Box::new(only));
        self
    }

    fn wants(&self, namespace: &Namespace, key: &Key, value: &[u8]) -> bool {
        self.only.as_ref().is_none_or(|only| only(namespace, key, value))
    }

    /// The wanted namespaces of a snapshot, in its order.
    fn within(&self, manifest: &Manifest, path: &std::path::Path) -> Result<Vec<Namespace>, SnapshotError> {
        let Some(wanted) = &self.namespaces else { return Ok(manifest.counts.keys().cloned().collect()) };
        if let Some(absent) = wanted.iter().find(|namespace| !manifest.counts.contains_key(namespace)) {
            return Err(SnapshotError::NotTaken { path: path.to_owned(), namespace: absent.to_string() });
        }
        Ok(manifest.counts.keys().filter(|namespace| wanted.contains(namespace)).cloned().collect())
    }
}

impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selection")
            .field("namespaces", &self.namespaces)
            .field("only", &self.only.is_some())
            .finish()
    }
}

/// Keys of one kind: how many, and the first of them by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// How many there are.
    pub count: u64,
    /// The first of them, at most [`KEYS_NAMED_MAX`].
    pub first: Vec<(Namespace, Key)>,
}

impl Keys {
    fn add(&mut self, namespace: &Namespace, key: &Key) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < KEYS_NAMED_MAX {
            self.first.push((namespace.clone(), key.clone()));
        }
    }
}

/// In what a store differs from a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// In the snapshot only.
    pub missing: Keys,
    /// In both, with another value, metadata or expiry.
    pub changed: Keys,
    /// In the store only. What has expired in the snapshot since is not in it.
    pub extra: Keys,
    /// In the snapshot, expired since, and in the store no more.
    pub expired: Keys,
    /// Alike in both.
    pub same: u64,
}

/// What a restore does to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Makes the store what the snapshot says: keys that it lacks are removed, others' later writes are undone.
    Exact,
    /// Puts back what is missing, and touches nothing that stands.
    MissingOnly,
}

/// The most that a restore may do to what stands in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtMost {
    /// Keys that are put over something else.
    pub replaced: u64,
    /// Keys that are removed.
    pub removed: u64,
}

impl AtMost {
    /// As much as it takes.
    pub const ANY: Self = Self { replaced: u64::MAX, removed: u64::MAX };
}

/// What a restore did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// Whether anything was written; else these are the writes that would be made.
    pub applied: bool,
    /// Put where nothing stood.
    pub added: Keys,
    /// Put over something else.
    pub replaced: Keys,
    /// Removed, because the snapshot lacks them.
    pub removed: Keys,
    /// Unlike the snapshot, and left by [`Mode::MissingOnly`].
    pub kept: Keys,
    /// Not put back, because they have expired since.
    pub expired: Keys,
    /// Found as they should be.
    pub same: u64,
}

/// Why a snapshot was not taken, read or restored.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// There is a file of this name. It is left as it is.
    #[error("{} is there already and is not overwritten: name another file", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be made, read or written.
    #[error("could not {action} {}: {source}; check that its directory is there, writable and has room", path.display())]
    File {
        /// As a verb phrase.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file is not what was written when the snapshot was taken.
    #[error(
        "the snapshot {} is not whole, at line {line}: {what}; do not restore from it: take another copy of it, \
         or an earlier snapshot",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong there.
        what: String,
    },
    /// A namespace is asked for that the snapshot does not hold.
    #[error("the snapshot {} has no namespace `{namespace}`: ask for those of its first line", path.display())]
    NotTaken {
        /// The file.
        path: PathBuf,
        /// The namespace.
        namespace: String,
    },
    /// More would be overwritten or removed than may be. The keys before stand as in the snapshot.
    #[error(
        "more than {} keys would be overwritten or more than {} removed, as were written meanwhile: stop what writes \
         there and look again at what would be lost",
        at_most.replaced,
        at_most.removed
    )]
    TooMany {
        /// What was allowed.
        at_most: AtMost,
    },
    /// Somebody else keeps writing to a key.
    #[error(
        "`{key}` in {namespace} was written by others {ROUNDS_MAX} times during the restore: stop what writes there \
         and run the restore again"
    )]
    Contended {
        /// Where.
        namespace: Namespace,
        /// At which key.
        key: Key,
    },
    /// The store did not answer as it should. A restore that stops so is run again: it goes on where it stopped.
    #[error("{0}; once the store answers, run it again")]
    Store(#[from] KvError),
}

impl SnapshotError {
    fn file(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}
