//! The embedded store: one SQLite file in WAL mode, which several processes open at once.
//!
//! A write is one `BEGIN IMMEDIATE` transaction with `synchronous = FULL`: what was answered is on the disk. A version
//! is drawn from a counter in the same file, so that no two writes ever share one. Expired rows are not seen by any
//! operation; the next write over their key removes them, and [`KvStore::sweep`] the rest.
//!
//! One connection reads and one writes, each on a thread that may block: readers do not wait for a writer.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::clock::{Clock, SystemClock};
use super::{
    Change, Condition, Entry, Key, KvError, KvStore, Listed, Namespace, PAGE_MAX, Page, Properties,
    READ_MAX_BYTES, UnixSecond, Version, Write, Written, WrittenAll, bounds, fit, page_length,
};

/// How long an operation waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it waits between two looks.
const BUSY_PAUSE: Duration = Duration::from_millis(2);
/// The form of the file, in SQLite's `user_version`.
const FORMAT: i64 = 1;
/// Most prepared statements kept by a connection.
const STATEMENTS_KEPT: usize = 32;

const SCHEMA: &str = include_str!("sqlite/schema.sql");
const GET: &str = "SELECT value, metadata, expires_at, version FROM kv_entry \
     WHERE namespace = ?1 AND key = ?2 AND (expires_at IS NULL OR expires_at > ?3)";
const STANDING: &str = "SELECT version FROM kv_entry \
     WHERE namespace = ?1 AND key = ?2 AND (expires_at IS NULL OR expires_at > ?3)";
const LIST: &str = "SELECT key, metadata, expires_at, version FROM kv_entry \
     WHERE namespace = ?1 AND key >= ?2 AND key < ?3 AND (expires_at IS NULL OR expires_at > ?4) ORDER BY key LIMIT ?5";
const PUT: &str = "INSERT INTO kv_entry (namespace, key, value, metadata, expires_at, version) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, \
     metadata = excluded.metadata, expires_at = excluded.expires_at, version = excluded.version";
const DELETE: &str = "DELETE FROM kv_entry WHERE namespace = ?1 AND key = ?2";
const DRAW: &str = "UPDATE kv_version SET last = last + ?1 RETURNING last";

/// A store in one SQLite file.
#[derive(Clone)]
pub struct SqliteKv {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    reader: Mutex<Connection>,
    writer: Mutex<Connection>,
}

impl fmt::Debug for SqliteKv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sqlite:{}", self.inner.path.display())
    }
}

impl SqliteKv {
    /// Opens the store in this file, or makes it.
    ///
    /// # Errors
    /// [`KvError::Unavailable`] where the file cannot be opened; [`KvError::Corrupt`] where it is another program's.
    pub fn open(path: &Path) -> Result<Self, KvError> {
        Self::open_with_clock(path, Arc::new(SystemClock))
    }

    /// As [`SqliteKv::open`], by a given clock. All who have the file open must use the same.
    ///
    /// # Errors
    /// As [`SqliteKv::open`].
    pub fn open_with_clock(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, KvError> {
        let unavailable =
            |error: &rusqlite::Error| KvError::Unavailable { store: named(path), message: error.to_string() };
        let mut writer = Connection::open(path).map_err(|error| unavailable(&error))?;
        let is_ours = is_ours(path, &writer)?;
        prepare(&writer).map_err(|error| refused(path, &error))?;
        if !is_ours {
            lay_out(path, &mut writer)?;
        }
        let reader = Connection::open(path).map_err(|error| unavailable(&error))?;
        prepare(&reader).map_err(|error| refused(path, &error))?;
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                clock,
                reader: Mutex::new(reader),
                writer: Mutex::new(writer),
            }),
        })
    }

    /// One snapshot for all that `ask` reads.
    async fn reading<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Transaction<'_>, UnixSecond) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, KvError> {
        let inner = Arc::clone(&self.inner);
        let store = named(&self.inner.path);
        let task = tokio::task::spawn_blocking(move || {
            let mut connection = inner.reader.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction().map_err(|error| refused(&inner.path, &error))?;
            let answer =
                ask(&transaction, inner.clock.now()).map_err(|error| refused(&inner.path, &error))?;
            drop(transaction);
            Ok(answer)
        });
        task.await.map_err(|error| KvError::Unavailable { store, message: error.to_string() })?
    }

    /// All that `make` writes, or nothing where it fails.
    async fn writing<T: Send + 'static>(
        &self,
        make: impl FnOnce(&Transaction<'_>, UnixSecond) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, KvError> {
        let inner = Arc::clone(&self.inner);
        let store = named(&self.inner.path);
        let task = tokio::task::spawn_blocking(move || {
            let mut connection = inner.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(|error| refused(&inner.path, &error))?;
            let answer =
                make(&transaction, inner.clock.now()).map_err(|error| refused(&inner.path, &error))?;
            transaction.commit().map_err(|error| KvError::Unknown {
                store: named(&inner.path),
                message: error.to_string(),
            })?;
            Ok(answer)
        });
        task.await.map_err(|error| KvError::Unknown { store, message: error.to_string() })?
    }
}

#[async_trait]
impl KvStore for SqliteKv {
    fn properties(&self) -> Properties {
        Properties { compare_and_set: true, atomic_batches: true, reads_own_writes: true, durable: true }
    }

    async fn now(&self) -> Result<UnixSecond, KvError> {
        Ok(self.inner.clock.now())
    }

    async fn get_some(&self, namespace: &Namespace, keys: &[Key]) -> Result<Vec<Option<Entry>>, KvError> {
        if keys.len() > PAGE_MAX {
            return Err(KvError::TooMany { what: "keys", count: keys.len(), limit: PAGE_MAX });
        }
        let (namespace, keys) = (namespace.clone(), keys.to_vec());
        self.reading(move |transaction, now| {
            let mut statement = transaction.prepare_cached(GET)?;
            let (mut found, mut bytes) = (Vec::with_capacity(keys.len()), 0_usize);
            for key in &keys {
                let at = params![namespace.as_str(), key.as_str(), now.0];
                let read = statement.query_row(at, entry).optional()?;
                bytes = bytes.saturating_add(read.as_ref().map_or(0, |entry| entry.value.len()));
                if bytes > READ_MAX_BYTES && !found.is_empty() {
                    break;
                }
                found.push(read);
            }
            Ok(found)
        })
        .await
    }

    async fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page, KvError> {
        let limit = page_length(limit);
        let (from, to) = bounds(prefix, after);
        let namespace = namespace.clone();
        let rows = self
            .reading(move |transaction, now| {
                let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
                let mut statement = transaction.prepare_cached(LIST)?;
                let rows =
                    statement.query_map(params![namespace.as_str(), from, to, now.0, one_more], listed)?;
                rows.collect::<rusqlite::Result<Vec<_>>>()
            })
            .await?;
        let complete = rows.len() <= limit;
        let entries = rows.into_iter().take(limit);
        let entries = entries.map(|row| row.whole(&self.inner.path)).collect::<Result<_, _>>()?;
        Ok(Page { entries, complete })
    }

    async fn write_each(&self, writes: &[Write]) -> Result<Vec<Written>, KvError> {
        fit(writes)?;
        let writes = writes.to_vec();
        self.writing(move |transaction, now| {
            let mut versions = draw(transaction, writes.len())?;
            let mut written = Vec::with_capacity(writes.len());
            for write in &writes {
                let found = standing(transaction, write, now)?;
                if holds(write.condition, found) {
                    written.push(Written::Done(make(transaction, write, found, versions.next(), now)?));
                } else {
                    written.push(Written::Refused(found));
                }
            }
            Ok(written)
        })
        .await
    }

    async fn sweep(&self, at_most: usize) -> Result<usize, KvError> {
        let limit = i64::try_from(at_most).unwrap_or(i64::MAX);
        self.writing(move |transaction, now| {
            transaction.execute(
                "DELETE FROM kv_entry WHERE (namespace, key) IN \
                 (SELECT namespace, key FROM kv_entry WHERE expires_at <= ?1 LIMIT ?2)",
                params![now.0, limit],
            )
        })
        .await
    }

    async fn write_all(&self, writes: &[Write]) -> Result<WrittenAll, KvError> {
        fit(writes)?;
        let writes = writes.to_vec();
        self.writing(move |transaction, now| {
            // Judged before any is made: where one is refused, the transaction commits nothing.
            let mut standing_versions = Vec::with_capacity(writes.len());
            for (index, write) in writes.iter().enumerate() {
                let found = standing(transaction, write, now)?;
                if !holds(write.condition, found) {
                    return Ok(WrittenAll::Refused { index, found });
                }
                standing_versions.push(found);
            }
            let mut versions = draw(transaction, writes.len())?;
            let made = writes.iter().zip(standing_versions);
            let made = made.map(|(write, found)| make(transaction, write, found, versions.next(), now));
            Ok(WrittenAll::Done(made.collect::<rusqlite::Result<_>>()?))
        })
        .await
    }
}

/// A row of a listing, as it was read.
struct ListedRow {
    key: String,
    metadata: Option<String>,
    expires_at: Option<UnixSecond>,
    version: Version,
}

impl ListedRow {
    fn whole(self, path: &Path) -> Result<Listed, KvError> {
        let key = Key::new(self.key)
            .map_err(|error| KvError::Corrupt { store: named(path), message: error.to_string() })?;
        Ok(Listed { key, metadata: self.metadata, expires_at: self.expires_at, version: self.version })
    }
}

/// What each connection is set to. A file that others make or open at the same time is waited for: SQLite does not wait
/// by itself for the change of its journal.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    let begun = Instant::now();
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())) {
            Err(error)
                if matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
                    && begun.elapsed() < BUSY_TIMEOUT =>
            {
                std::thread::park_timeout(BUSY_PAUSE);
            }
            Err(error) => return Err(error),
            Ok(()) => return connection.pragma_update(None, "synchronous", "full"),
        }
    }
}

/// Whether the tables are there; false: the file is empty. One that holds something else is refused as it is.
fn is_ours(path: &Path, connection: &Connection) -> Result<bool, KvError> {
    connection.busy_timeout(BUSY_TIMEOUT).map_err(|error| refused(path, &error))?;
    // One statement, one moment: another process may be making the tables.
    let sql = "SELECT (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)";
    let asked = connection.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
    match asked.map_err(|error| refused(path, &error))? {
        (FORMAT, _) => Ok(true),
        (0, 0) => Ok(false),
        (format, _) => Err(KvError::Corrupt {
            store: named(path),
            message: format!(
                "it is a SQLite file of another program, or of form {format}; this one reads {FORMAT}"
            ),
        }),
    }
}

/// Makes the tables, unless another process was faster.
fn lay_out(path: &Path, connection: &mut Connection) -> Result<(), KvError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| refused(path, &error))?;
    if !is_ours(path, &transaction)? {
        transaction.execute_batch(SCHEMA).map_err(|error| refused(path, &error))?;
        transaction.pragma_update(None, "user_version", FORMAT).map_err(|error| refused(path, &error))?;
    }
    transaction.commit().map_err(|error| refused(path, &error))
}

/// So many new versions.
fn draw(
    transaction: &Transaction<'_>,
    count: usize,
) -> rusqlite::Result<impl Iterator<Item = Version> + use<>> {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    let last: u64 = transaction.prepare_cached(DRAW)?.query_row([count], |row| row.get(0))?;
    Ok((last.saturating_sub(count).saturating_add(1)..=last).map(Version))
}

/// The version that stands at a write's key.
fn standing(
    transaction: &Transaction<'_>,
    write: &Write,
    now: UnixSecond,
) -> rusqlite::Result<Option<Version>> {
    let at = params![write.namespace.as_str(), write.key.as_str(), now.0];
    transaction.prepare_cached(STANDING)?.query_row(at, |row| Ok(Version(row.get(0)?))).optional()
}

fn holds(condition: Condition, found: Option<Version>) -> bool {
    match condition {
        Condition::Always => true,
        Condition::Absent => found.is_none(),
        Condition::Version(wanted) => found == Some(wanted),
    }
}

/// Makes a write whose condition holds; the version that then stands at its key.
fn make(
    transaction: &Transaction<'_>,
    write: &Write,
    found: Option<Version>,
    version: Option<Version>,
    now: UnixSecond,
) -> rusqlite::Result<Option<Version>> {
    let (namespace, key) = (write.namespace.as_str(), write.key.as_str());
    match (&write.change, version) {
        (Change::Keep, _) => Ok(found),
        (Change::Put { value, metadata, expires_at }, Some(version))
            if expires_at.is_none_or(|at| at > now) =>
        {
            let expires_at = expires_at.map(|at| at.0);
            let row = params![namespace, key, value.as_ref(), metadata, expires_at, version.0];
            transaction.prepare_cached(PUT)?.execute(row)?;
            Ok(Some(version))
        }
        (Change::Put { .. } | Change::Delete, _) => {
            transaction.prepare_cached(DELETE)?.execute(params![namespace, key])?;
            Ok(None)
        }
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        value: Bytes::from(row.get::<_, Vec<u8>>(0)?),
        metadata: row.get(1)?,
        expires_at: row.get::<_, Option<i64>>(2)?.map(UnixSecond),
        version: Version(row.get(3)?),
    })
}

fn listed(row: &Row<'_>) -> rusqlite::Result<ListedRow> {
    Ok(ListedRow {
        key: row.get(0)?,
        metadata: row.get(1)?,
        expires_at: row.get::<_, Option<i64>>(2)?.map(UnixSecond),
        version: Version(row.get(3)?),
    })
}

fn named(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

/// An error of an operation that changed nothing.
fn refused(path: &Path, error: &rusqlite::Error) -> KvError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let (store, message) = (named(path), error.to_string());
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => KvError::Corrupt { store, message },
        _ => KvError::Unavailable { store, message },
    }
}
