//! Key-value stores: values with metadata and an absolute expiry, under keys in namespaces.
//!
//! One trait, [`KvStore`], says what a migration of keys needs: a version at each key that a write can be conditional
//! on, several writes as one, and a listing by prefix in the order of the keys' bytes that starts behind any key. What
//! a store cannot do stands in its [`Properties`], for a planner to read: it is refused there and never weakened here.
//!
//! [`sqlite::SqliteKv`] is the embedded store, shared by several processes; [`redis::RedisKv`] speaks to a Redis.
//! [`conformance`] is the kit that every store of this trait must pass. [`around::Around`] is what a store says that
//! stands around another; [`watched::Watched`] is one with which a test can refuse, lose or delay any operation.

pub mod around;
pub mod clock;
pub mod conformance;
pub mod redis;
pub mod snapshot;
pub mod sqlite;
pub mod watched;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

/// Most bytes of a key.
pub const KEY_MAX_BYTES: usize = 512;
/// Most bytes of a value: 25 MiB.
pub const VALUE_MAX_BYTES: usize = 25 * 1024 * 1024;
/// Most bytes of a key's metadata.
pub const METADATA_MAX_BYTES: usize = 1024;
/// Most entries of one page of a listing, and most keys of one reading.
pub const PAGE_MAX: usize = 1000;
/// Most bytes of the values of one reading: 32 MiB, so that any one value fits.
pub const READ_MAX_BYTES: usize = 32 * 1024 * 1024;
/// Most writes of one batch.
pub const BATCH_MAX: usize = 1000;

/// A store that several hold.
pub type Kv = Arc<dyn KvStore>;

/// A namespace of keys: 1 to 64 letters, digits, `_` and `-`. Copies share its text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// The namespace of this name.
    ///
    /// # Errors
    /// [`KvError::BadNamespace`].
    pub fn new(name: impl Into<String>) -> Result<Self, KvError> {
        let name = name.into();
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(legal) {
            return Err(KvError::BadNamespace { name });
        }
        Ok(Self(name.into()))
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key: 1 to [`KEY_MAX_BYTES`] bytes of UTF-8, without U+0000. Keys are ordered by their bytes. Copies share its text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// The key of this text.
    ///
    /// # Errors
    /// [`KvError::BadKey`].
    pub fn new(text: impl Into<String>) -> Result<Self, KvError> {
        let text = text.into();
        let reason = if text.is_empty() {
            "it is empty"
        } else if text.len() > KEY_MAX_BYTES {
            "it has more than 512 bytes"
        } else if text.contains('\0') {
            "it has a NUL in it"
        } else {
            return Ok(Self(text.into()));
        };
        Err(KvError::BadKey { key: text.chars().take(80).collect(), reason })
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A second of Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSecond(pub i64);

/// What a key's value is conditional on: a store gives each write a version that it never gave before, to whatever
/// key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// What stands at a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The value's bytes.
    pub value: Bytes,
    /// JSON text, at most [`METADATA_MAX_BYTES`], or none.
    pub metadata: Option<String>,
    /// The first second in which it is no longer there; none: it stays.
    pub expires_at: Option<UnixSecond>,
    /// The version that its last write gave it.
    pub version: Version,
}

/// A key in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key, whole.
    pub key: Key,
    /// As in [`Entry`].
    pub metadata: Option<String>,
    /// As in [`Entry`].
    pub expires_at: Option<UnixSecond>,
    /// As in [`Entry`].
    pub version: Version,
}

/// A part of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the order of the keys' bytes.
    pub entries: Vec<Listed>,
    /// Whether nothing stands behind the last of them. Else the next page starts after that key.
    pub complete: bool,
}

/// What a write makes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Puts a value, whole: metadata and expiry are those given here, and never those from before.
    Put {
        /// The bytes.
        value: Bytes,
        /// JSON text, or none.
        metadata: Option<String>,
        /// Absolute. Where it has passed already, nothing stands at the key afterwards.
        expires_at: Option<UnixSecond>,
    },
    /// Removes what stands there; nothing there is no error.
    Delete,
    /// Leaves it; only the condition counts. For [`KvStore::write_all`].
    Keep,
}

/// What must stand at a key for the write to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Anything.
    Always,
    /// Nothing; what has expired is nothing.
    Absent,
    /// What this version's write put there.
    Version(Version),
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Where.
    pub namespace: Namespace,
    /// At which key.
    pub key: Key,
    /// What.
    pub change: Change,
    /// Only if.
    pub condition: Condition,
}

/// What became of one write of [`KvStore::write_each`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Made. The version that now stands there; none after a deletion, or where the expiry had passed.
    Done(Option<Version>),
    /// Its condition did not hold. The version that stands there; none: nothing does.
    Refused(Option<Version>),
}

/// What became of the writes of [`KvStore::write_all`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrittenAll {
    /// All are made; their versions, in the order of the writes.
    Done(Vec<Option<Version>>),
    /// None is: the condition of the write at `index` did not hold.
    Refused {
        /// The first such write's place in the batch.
        index: usize,
        /// The version that stands at its key; none: nothing does.
        found: Option<Version>,
    },
}

/// What a store can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Properties {
    /// Writes may be conditional. Without it a migration is refused.
    pub compare_and_set: bool,
    /// [`KvStore::write_all`] is all or nothing.
    pub atomic_batches: bool,
    /// A reading sees every write that was answered before it.
    pub reads_own_writes: bool,
    /// What was answered is on the disk.
    pub durable: bool,
}

/// Why a store did not do as asked.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum KvError {
    /// A name that no namespace can have.
    #[error("`{name}` cannot be a namespace: 1 to 64 letters, digits, `_` and `-`")]
    BadNamespace {
        /// The name.
        name: String,
    },
    /// A text that no key can be.
    #[error("`{key}` cannot be a key: {reason}; a key has 1 to 512 bytes")]
    BadKey {
        /// Its first 80 characters.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// More than a key can hold. Nothing was written.
    #[error("{what} of `{key}` has {bytes} bytes; a store of this kind takes {limit}")]
    TooLarge {
        /// The value, or the metadata.
        what: &'static str,
        /// Where.
        key: String,
        /// Its bytes.
        bytes: usize,
        /// The most.
        limit: usize,
    },
    /// More in one call than is taken. Nothing was done.
    #[error("{count} {what} in one call; at most {limit} are taken")]
    TooMany {
        /// Keys, or writes.
        what: &'static str,
        /// How many.
        count: usize,
        /// The most.
        limit: usize,
    },
    /// The metadata is no JSON text. Nothing was written.
    #[error("the metadata of `{key}` is not JSON: {message}")]
    BadMetadata {
        /// Where.
        key: String,
        /// Why.
        message: String,
    },
    /// The store could not be asked, and nothing was changed.
    #[error("the key-value store {store} could not be asked: {message}")]
    Unavailable {
        /// Which, without its password.
        store: String,
        /// Why.
        message: String,
    },
    /// The store was asked to write and its answer did not arrive: it may have written, or not.
    #[error("the key-value store {store} was asked to write, and whether it did is not known: {message}")]
    Unknown {
        /// Which, without its password.
        store: String,
        /// Why.
        message: String,
    },
    /// What the store holds is not of its own form.
    #[error("the key-value store {store} holds what it did not write: {message}")]
    Corrupt {
        /// Which, without its password.
        store: String,
        /// What.
        message: String,
    },
    /// The address names no store that is known here.
    #[error("`{url}` names no key-value store: {reason}; write sqlite:PATH or redis://HOST:PORT/DB")]
    BadUrl {
        /// Without its password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A store of values under keys.
///
/// Expired entries are not there for any operation. Several processes may use one store; each operation is seen whole
/// or not at all by the others.
#[async_trait]
pub trait KvStore: fmt::Debug + Send + Sync + 'static {
    /// What it can do.
    fn properties(&self) -> Properties;

    /// Its clock, by which entries expire.
    async fn now(&self) -> Result<UnixSecond, KvError>;

    /// What stands at the first of these keys, in their order: at one at least, and at as many as have no more than
    /// [`READ_MAX_BYTES`] together. One snapshot for those. At most [`PAGE_MAX`] keys are taken.
    async fn get_some(&self, namespace: &Namespace, keys: &[Key]) -> Result<Vec<Option<Entry>>, KvError>;

    /// The keys that start with `prefix` and stand behind `after`, by the order of their bytes; at most `limit`, which
    /// is at most [`PAGE_MAX`]. A key that is there throughout a listing is in it once; one that comes or goes
    /// meanwhile may be.
    async fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page, KvError>;

    /// Makes each write whose condition holds, each for itself, in one round trip; at most [`BATCH_MAX`].
    async fn write_each(&self, writes: &[Write]) -> Result<Vec<Written>, KvError>;

    /// Makes all the writes, or none; at most [`BATCH_MAX`], no two of one key.
    async fn write_all(&self, writes: &[Write]) -> Result<WrittenAll, KvError>;

    /// Removes what has expired and still takes room, at most so many; how many. Nobody sees a difference. A store that
    /// does so by itself has nothing to do.
    async fn sweep(&self, at_most: usize) -> Result<usize, KvError> {
        let _ = at_most;
        Ok(0)
    }
}

impl dyn KvStore {
    /// What stands at one key.
    ///
    /// # Errors
    /// [`KvError`].
    pub async fn get(&self, namespace: &Namespace, key: &Key) -> Result<Option<Entry>, KvError> {
        Ok(self.get_some(namespace, std::slice::from_ref(key)).await?.pop().flatten())
    }

    /// What stands at these keys, in their order; at most [`PAGE_MAX`]. All of it is in memory at once: what may be large
    /// is asked for with [`KvStore::get_some`]. One snapshot where it fits one reading.
    ///
    /// # Errors
    /// [`KvError`].
    pub async fn get_many(&self, namespace: &Namespace, keys: &[Key]) -> Result<Vec<Option<Entry>>, KvError> {
        let mut found = self.get_some(namespace, keys).await?;
        while found.len() < keys.len() {
            let rest = keys.get(found.len()..).unwrap_or_default();
            found.extend(self.next_of(namespace, rest).await?);
        }
        Ok(found)
    }

    /// Gives each of these keys at which something stands to `take`, in their order; any number of keys. No more is in
    /// memory than one reading holds.
    ///
    /// # Errors
    /// [`KvError`], and those of `take`.
    pub async fn each<E: From<KvError>>(
        &self,
        namespace: &Namespace,
        keys: &[Key],
        mut take: impl FnMut(&Key, Entry) -> Result<(), E>,
    ) -> Result<(), E> {
        for page in keys.chunks(PAGE_MAX) {
            let mut rest = page;
            while !rest.is_empty() {
                let found = self.next_of(namespace, rest).await?;
                let (these, later) = rest.split_at(found.len().min(rest.len()));
                for (key, entry) in these.iter().zip(found) {
                    if let Some(entry) = entry {
                        take(key, entry)?;
                    }
                }
                rest = later;
            }
        }
        Ok(())
    }

    /// As [`KvStore::get_some`] of at least one key; an answer to none of them is an error.
    pub(crate) async fn next_of(
        &self,
        namespace: &Namespace,
        keys: &[Key],
    ) -> Result<Vec<Option<Entry>>, KvError> {
        let found = self.get_some(namespace, keys).await?;
        if found.is_empty() {
            return Err(KvError::Corrupt {
                store: format!("{self:?}"),
                message: format!("it answered {} keys with nothing", keys.len()),
            });
        }
        Ok(found)
    }

    /// One write.
    ///
    /// # Errors
    /// [`KvError`].
    pub async fn write(&self, write: Write) -> Result<Written, KvError> {
        let written = self.write_each(std::slice::from_ref(&write)).await?.pop();
        written.ok_or_else(|| KvError::Corrupt {
            store: format!("{self:?}"),
            message: "it answered one write with nothing".to_owned(),
        })
    }

    /// Every key that starts with `prefix`, page by page; at most `at_most`.
    ///
    /// # Errors
    /// [`KvError`]; [`KvError::TooMany`] where there are more.
    pub async fn list_all(
        &self,
        namespace: &Namespace,
        prefix: &str,
        at_most: usize,
    ) -> Result<Vec<Listed>, KvError> {
        let mut all: Vec<Listed> = Vec::new();
        loop {
            let page = self.list(namespace, prefix, all.last().map(|listed| &listed.key), PAGE_MAX).await?;
            all.extend(page.entries);
            if all.len() > at_most {
                return Err(KvError::TooMany { what: "keys", count: all.len(), limit: at_most });
            }
            if page.complete {
                return Ok(all);
            }
        }
    }
}

/// The store that an address names: `sqlite:PATH` (or a path), or `redis://[user:password@]host:port/db`.
///
/// # Errors
/// [`KvError::BadUrl`], or why it could not be opened.
pub async fn open(url: &str) -> Result<Kv, KvError> {
    match url.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => Ok(Arc::new(sqlite::SqliteKv::open(path.as_ref())?)),
        _ if url.starts_with("redis:") => Ok(Arc::new(redis::RedisKv::open(url).await?)),
        _ => {
            let url = redis::without_password(url);
            Err(KvError::BadUrl { url, reason: "its scheme is neither".to_owned() })
        }
    }
}

/// Refuses what no store takes, before it is asked.
///
/// # Errors
/// [`KvError::TooMany`], [`KvError::TooLarge`], [`KvError::BadMetadata`].
pub(crate) fn fit(writes: &[Write]) -> Result<(), KvError> {
    if writes.len() > BATCH_MAX {
        return Err(KvError::TooMany { what: "writes", count: writes.len(), limit: BATCH_MAX });
    }
    for write in writes {
        let Change::Put { value, metadata, .. } = &write.change else { continue };
        let too_large =
            |what, bytes, limit| KvError::TooLarge { what, key: write.key.to_string(), bytes, limit };
        if value.len() > VALUE_MAX_BYTES {
            return Err(too_large("the value", value.len(), VALUE_MAX_BYTES));
        }
        if let Some(metadata) = metadata {
            if metadata.len() > METADATA_MAX_BYTES {
                return Err(too_large("the metadata", metadata.len(), METADATA_MAX_BYTES));
            }
            serde_json::from_str::<serde::de::IgnoredAny>(metadata).map_err(|error| {
                KvError::BadMetadata { key: write.key.to_string(), message: error.to_string() }
            })?;
        }
    }
    Ok(())
}

/// A page's length within its bounds.
pub(crate) fn page_length(limit: usize) -> usize {
    limit.clamp(1, PAGE_MAX)
}

/// The bounds of a listing: its keys are at least the first and less than the second.
pub(crate) fn bounds(prefix: &str, after: Option<&Key>) -> (String, String) {
    // No key holds U+0000, so that nothing lies between a key and the same key with U+0000 behind it.
    let from = match after {
        Some(after) if after.as_str() >= prefix => format!("{after}\0"),
        _ => prefix.to_owned(),
    };
    (from, behind(prefix))
}

/// The least text that is greater than all keys of a prefix.
fn behind(prefix: &str) -> String {
    let mut kept = prefix.to_owned();
    while let Some(last) = kept.pop() {
        // In UTF-8 the order of bytes is that of characters.
        if let Some(next) = (last..=char::MAX).nth(1) {
            kept.push(next);
            return kept;
        }
    }
    char::MAX.to_string().repeat(KEY_MAX_BYTES)
}
