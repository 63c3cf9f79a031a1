//! A store in a Redis, version 7 or newer.
//!
//! | name in Redis | kind | what |
//! |---|---|---|
//! | `tidegate-kv:NAMESPACE:v:KEY` | hash | `d` value, `m` metadata, `e` expiry, `n` version; dropped by the server when it expires |
//! | `tidegate-kv:NAMESPACE:i` | sorted set | the namespace's keys, all with score 0: ordered by their bytes |
//! | `tidegate-kv:version` | number | the last version given |
//!
//! Each operation is one script, which Redis runs alone: a reading is one snapshot and a batch is seen whole. A listing
//! passes over index entries whose value has expired and removes them. Scripts name what they touch themselves, in
//! several namespaces at once: a Redis Cluster is not supported, and answers so. Anything that writes below
//! `tidegate-kv:` by other means breaks the index.
//!
//! Entries expire by the server's clock, unless one is given. Only a Redis with `appendonly yes` and `appendfsync
//! always` has on its disk what it answered: see [`Properties::durable`]. TLS is not supported: put a tunnel before it.

mod connection;
mod index_keys;
mod script;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::clock::Clock;
use super::{
    Change, Condition, Entry, Key, KvError, KvStore, Listed, Namespace, PAGE_MAX, Page, Properties,
    READ_MAX_BYTES, UnixSecond, Version, Write, Written, WrittenAll, bounds, fit, page_length,
};
use connection::Connection;
use script::{GET_SOME, LIST, WRITE};

pub(crate) use connection::without_password;
pub use connection::{ANSWER_TIMEOUT, CONNECT_TIMEOUT};
pub use index_keys::Indexed;

/// Most bytes of the values of one batch; Redis takes at most 1 GiB in one command.
pub const BATCH_MAX_BYTES: usize = 512 * 1024 * 1024;
/// Index entries that one call of a listing looks at, beyond those it wants: what has expired is passed over in steps.
const LOOKS: usize = 1000;
/// Most steps of one page: about a million expired entries.
const STEPS_MAX: usize = 1000;

/// A store in a Redis. Clones share one connection.
#[derive(Clone)]
pub struct RedisKv {
    connection: Arc<Connection>,
    clock: Option<Arc<dyn Clock>>,
}

impl fmt::Debug for RedisKv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.connection.store())
    }
}

/// A row of an answer: value, metadata, expiry, version.
type EntryRow = (Vec<u8>, String, String, String);
/// A row of a listing: key, metadata, expiry, version.
type ListedRow = (String, String, String, String);

impl RedisKv {
    /// Opens the store in the Redis at `redis://[user:password@]host:port/db`, by the server's clock.
    ///
    /// # Errors
    /// [`KvError::BadUrl`]; [`KvError::Unavailable`] where it does not answer.
    pub async fn open(url: &str) -> Result<Self, KvError> {
        Ok(Self { connection: Arc::new(Connection::open(url).await?), clock: None })
    }

    /// As [`RedisKv::open`], by a given clock, which all who use the store must share. The server itself then drops
    /// nothing.
    ///
    /// # Errors
    /// As [`RedisKv::open`].
    pub async fn open_with_clock(url: &str, clock: Arc<dyn Clock>) -> Result<Self, KvError> {
        Ok(Self { clock: Some(clock), ..Self::open(url).await? })
    }

    fn given_now(&self) -> String {
        self.clock.as_ref().map_or_else(String::new, |clock| clock.now().0.to_string())
    }

    fn corrupt(&self, message: impl Into<String>) -> KvError {
        KvError::Corrupt { store: self.connection.store().to_owned(), message: message.into() }
    }

    fn version(&self, text: &str) -> Result<Option<Version>, KvError> {
        if text.is_empty() {
            return Ok(None);
        }
        let read = text.parse().map(|number| Some(Version(number)));
        read.map_err(|_| self.corrupt(format!("`{text}` is no version")))
    }

    fn standing_version(&self, text: &str) -> Result<Version, KvError> {
        self.version(text)?.ok_or_else(|| self.corrupt("an entry has no version"))
    }

    fn expiry(&self, text: &str) -> Result<Option<UnixSecond>, KvError> {
        if text.is_empty() {
            return Ok(None);
        }
        let read = text.parse().map(|second| Some(UnixSecond(second)));
        read.map_err(|_| self.corrupt(format!("`{text}` is no second")))
    }

    fn entry(&self, (value, metadata, expires_at, version): EntryRow) -> Result<Entry, KvError> {
        Ok(Entry {
            value: Bytes::from(value),
            metadata: Some(metadata).filter(|metadata| !metadata.is_empty()),
            expires_at: self.expiry(&expires_at)?,
            version: self.standing_version(&version)?,
        })
    }

    fn listed(&self, (key, metadata, expires_at, version): ListedRow) -> Result<Listed, KvError> {
        Ok(Listed {
            key: Key::new(key).map_err(|error| self.corrupt(error.to_string()))?,
            metadata: Some(metadata).filter(|metadata| !metadata.is_empty()),
            expires_at: self.expiry(&expires_at)?,
            version: self.standing_version(&version)?,
        })
    }

    /// The arguments of a script that writes.
    fn arguments(&self, manner: &str, writes: &[Write]) -> Result<Vec<Bytes>, KvError> {
        fit(writes)?;
        let mut arguments = vec![Bytes::from(self.given_now()), Bytes::from(manner.to_owned())];
        let mut bytes = 0_usize;
        for write in writes {
            let condition = match write.condition {
                Condition::Always => "*".to_owned(),
                Condition::Absent => "-".to_owned(),
                Condition::Version(version) => version.0.to_string(),
            };
            let (change, value, metadata, expires_at) = match &write.change {
                Change::Put { value, metadata, expires_at } => {
                    ("p", value.clone(), metadata.clone(), *expires_at)
                }
                Change::Delete => ("d", Bytes::new(), None, None),
                Change::Keep => ("k", Bytes::new(), None, None),
            };
            bytes = bytes.saturating_add(value.len());
            if bytes > BATCH_MAX_BYTES {
                let key = write.key.to_string();
                return Err(KvError::TooLarge {
                    what: "the batch up to the value",
                    key,
                    bytes,
                    limit: BATCH_MAX_BYTES,
                });
            }
            arguments.extend([
                Bytes::copy_from_slice(write.namespace.as_str().as_bytes()),
                Bytes::copy_from_slice(write.key.as_str().as_bytes()),
                Bytes::from(condition),
                Bytes::from_static(change.as_bytes()),
                value,
                Bytes::from(metadata.unwrap_or_default()),
                Bytes::from(expires_at.map_or_else(String::new, |UnixSecond(second)| second.to_string())),
            ]);
        }
        Ok(arguments)
    }
}

#[async_trait]
impl KvStore for RedisKv {
    fn properties(&self) -> Properties {
        Properties {
            compare_and_set: true,
            atomic_batches: true,
            reads_own_writes: true,
            durable: self.connection.durable(),
        }
    }

    async fn now(&self) -> Result<UnixSecond, KvError> {
        match &self.clock {
            Some(clock) => Ok(clock.now()),
            None => self.connection.time().await,
        }
    }

    async fn get_some(&self, namespace: &Namespace, keys: &[Key]) -> Result<Vec<Option<Entry>>, KvError> {
        if keys.len() > PAGE_MAX {
            return Err(KvError::TooMany { what: "keys", count: keys.len(), limit: PAGE_MAX });
        }
        let mut arguments = vec![self.given_now(), READ_MAX_BYTES.to_string(), namespace.to_string()];
        arguments.extend(keys.iter().map(Key::to_string));
        let rows: Vec<Option<EntryRow>> = self.connection.read(&GET_SOME, &arguments).await?;
        if rows.len() > keys.len() || rows.is_empty() != keys.is_empty() {
            return Err(self.corrupt(format!("it answered {} keys with {} rows", keys.len(), rows.len())));
        }
        rows.into_iter().map(|row| row.map(|row| self.entry(row)).transpose()).collect()
    }

    async fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page, KvError> {
        let limit = page_length(limit);
        let (mut from, to) = bounds(prefix, after);
        let mut entries = Vec::new();
        for _ in 0..STEPS_MAX {
            let wanted = limit.saturating_sub(entries.len());
            let looks = wanted.saturating_add(1).max(LOOKS);
            let arguments = [
                self.given_now(),
                namespace.to_string(),
                from,
                to.clone(),
                wanted.to_string(),
                looks.to_string(),
            ];
            let answer: (u8, String, Vec<ListedRow>) = self.connection.read(&LIST, &arguments).await?;
            let (state, last, rows) = answer;
            for row in rows {
                entries.push(self.listed(row)?);
            }
            if state != 1 {
                return Ok(Page { entries, complete: state == 0 });
            }
            from = format!("{last}\0");
        }
        // A page that is not the last must hold the key that the next starts after.
        if entries.is_empty() {
            return Err(KvError::Unavailable {
                store: self.connection.store().to_owned(),
                message: format!("{STEPS_MAX} steps of a listing found expired entries only; list again"),
            });
        }
        Ok(Page { entries, complete: false })
    }

    async fn write_each(&self, writes: &[Write]) -> Result<Vec<Written>, KvError> {
        let arguments = self.arguments("each", writes)?;
        let rows: Vec<(u8, String)> = self.connection.write(&WRITE, &arguments).await?;
        let written = rows.into_iter().map(|(made, version)| {
            let version = self.version(&version)?;
            Ok(if made == 1 { Written::Done(version) } else { Written::Refused(version) })
        });
        written.collect()
    }

    async fn write_all(&self, writes: &[Write]) -> Result<WrittenAll, KvError> {
        let arguments = self.arguments("all", writes)?;
        let answer: Vec<String> = self.connection.write(&WRITE, &arguments).await?;
        match answer.split_first() {
            Some((made, versions)) if made == "1" => {
                let versions = versions.iter().map(|version| self.version(version));
                Ok(WrittenAll::Done(versions.collect::<Result<_, _>>()?))
            }
            Some((_, [index, found])) => {
                let bad = |_| self.corrupt(format!("`{index}` is no place in a batch"));
                Ok(WrittenAll::Refused { index: index.parse().map_err(bad)?, found: self.version(found)? })
            }
            _ => Err(self.corrupt("it answered a batch with something else")),
        }
    }
}
