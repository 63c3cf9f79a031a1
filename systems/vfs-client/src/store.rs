//! The state of a client on its disk.
//!
//! One SQLite database in WAL mode, written through to the disk at each commit. What [`vfs_core::client::ExportedState`]
//! holds stands there in rows, so that keeping a page writes what is on the page. A sum over all rows stands beside
//! them: state that anybody changed but this module is refused, as a state that cannot be taken up is.

mod keep;
mod rows;

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;
use vfs_core::client::{Client, ExportedState, Options, QueuedOperation, RejectedOperation};

use crate::crash_point;
use crate::metrics::Metrics;
use crate::task::{Task, TaskId, WaitingTask};
use crate::tree::Item;
pub use keep::Touched;

/// The form of the store that this program writes.
const FORMAT: i64 = 1;
/// How long a statement waits for another process's; only readers of other programs can be in the way.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Why the store cannot be used, or did not take a change.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Written by a newer program.
    #[error("{path} was written by a newer vfs (format {found}, here {FORMAT}); use that one")]
    Newer {
        /// The store.
        path: String,
        /// Its form.
        found: i64,
    },
    /// What it holds cannot be the state of a client. Nothing was changed.
    #[error("{message}")]
    Corrupt {
        /// What is wrong with it.
        message: String,
    },
    /// There is no room. The store is as it was before.
    #[error("the disk is full: nothing of this step was kept, and what was kept before is as it was")]
    Full,
    /// The file system or the database refused. The store is as it was before.
    #[error("the store could not be {doing}: {error}")]
    Sqlite {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        error: rusqlite::Error,
    },
}

impl StoreError {
    fn of(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { message: format!("the store cannot be read: {error}") }
            }
            Some(ErrorCode::DiskFull) => Self::Full,
            _ => Self::Sqlite { doing, error },
        }
    }

    fn corrupt(message: impl Into<String>) -> Self {
        Self::Corrupt { message: message.into() }
    }
}

/// The store of one client.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    /// The queue and the rejected operations as they were kept last.
    kept_pending: Vec<QueuedOperation>,
    kept_rejected: Vec<RejectedOperation>,
}

impl Store {
    /// Opens the store in a file, and makes it where there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection =
            Connection::open_with_flags(path, OpenFlags::default()).map_err(StoreError::of("opened"))?;
        connection.busy_timeout(BUSY_WAIT).map_err(StoreError::of("opened"))?;
        let durable = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON";
        connection.execute_batch(durable).map_err(StoreError::of("opened"))?;
        let mut store = Self { connection, kept_pending: Vec::new(), kept_rejected: Vec::new() };
        store.bring_up(path)?;
        Ok(store)
    }

    fn bring_up(&mut self, path: &Path) -> Result<(), StoreError> {
        let found: i64 = self
            .connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(StoreError::of("read"))?;
        if found > FORMAT {
            return Err(StoreError::Newer { path: path.display().to_string(), found });
        }
        if found == FORMAT {
            return Ok(());
        }
        self.write("made", |transaction| {
            transaction.execute_batch(include_str!("store/schema.sql"))?;
            transaction.pragma_update(None, "user_version", FORMAT)
        })
    }

    /// One transaction: all of it, or nothing.
    fn write<T>(
        &mut self,
        doing: &'static str,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(StoreError::of(doing))?;
        let changed = change(&transaction).map_err(StoreError::of(doing))?;
        if doing != "made" {
            let next = "INSERT INTO meta VALUES ('generation', '1')
                        ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)";
            transaction.execute(next, []).map_err(StoreError::of(doing))?;
        }
        crash_point!("before-commit");
        transaction.commit().map_err(StoreError::of(doing))?;
        crash_point!("after-commit");
        Ok(changed)
    }

    /// Rises with every change: whoever was away sees by it whether somebody else was here.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn generation(&self) -> Result<u64, StoreError> {
        let text = self.meta("generation")?;
        Ok(text.and_then(|text| text.parse().ok()).unwrap_or_default())
    }

    fn meta(&self, name: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT value FROM meta WHERE name = ?1";
        self.connection.query_row(sql, [name], |row| row.get(0)).optional().map_err(StoreError::of("read"))
    }

    fn set_meta(transaction: &Transaction<'_>, name: &str, value: &str) -> rusqlite::Result<()> {
        let sql = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        transaction.execute(sql, [name, value]).map(drop)
    }

    /// Takes the kept state up: a client that goes on where the last one ended.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with the text of what is wrong with it.
    pub fn load(&mut self, options: Options) -> Result<Client, StoreError> {
        let mut client = Client::new(options);
        let Some(state) = self.export()? else { return Ok(client) };
        for effect in client.hydrate(&state) {
            if let vfs_core::client::Effect::Finished(Err(error)) = effect {
                return Err(StoreError::corrupt(error.to_string()));
            }
        }
        self.kept_pending = client.pending().to_vec();
        self.kept_rejected = client.rejected().to_vec();
        Ok(client)
    }

    /// The kept state as an export; `None`: nothing is kept yet. Its sum is examined, and nothing else.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn export(&self) -> Result<Option<Value>, StoreError> {
        let rows = self.state_rows()?;
        let sum = self.meta("sum")?;
        if rows.is_empty() && sum.is_none() {
            return Ok(None);
        }
        let found = rows::sum(&rows);
        if sum.as_deref() != Some(found.to_text().as_str()) {
            return Err(StoreError::corrupt("the stored state is not what was stored: its sum differs"));
        }
        rows::export(&rows).map(Some)
    }

    fn state_rows(&self) -> Result<Vec<rows::Row>, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT kind, key, value FROM state ORDER BY kind, key")
            .map_err(StoreError::of("read"))?;
        let rows = statement
            .query_map([], |row| Ok(rows::Row { kind: row.get(0)?, key: row.get(1)?, value: row.get(2)? }))
            .map_err(StoreError::of("read"))?;
        rows.collect::<Result<_, _>>().map_err(StoreError::of("read"))
    }

    /// Keeps what a client knows, of which `touched` says what may have changed; a task and what is known of an item
    /// along with it, where they belong to the same step.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing was kept.
    pub fn keep(
        &mut self,
        client: &Client,
        touched: &Touched<'_>,
        beside: &Beside<'_>,
    ) -> Result<(), StoreError> {
        let (pending, rejected) =
            (std::mem::take(&mut self.kept_pending), std::mem::take(&mut self.kept_rejected));
        let kept = self.write("written", |transaction| {
            keep::keep(transaction, client, touched, &pending, &rejected)?;
            for task in beside.tasks {
                transaction.execute("INSERT INTO tasks (task) VALUES (?1)", [json(task)])?;
            }
            for item in beside.items {
                put_item(transaction, item)?;
            }
            Ok(())
        });
        if kept.is_ok() {
            self.kept_pending = client.pending().to_vec();
            self.kept_rejected = client.rejected().to_vec();
        } else {
            (self.kept_pending, self.kept_rejected) = (pending, rejected);
        }
        kept
    }

    /// Puts another state in the place of the kept one, with further tasks. Those that are there stay.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing was changed.
    pub fn replace(&mut self, client: &Client, tasks: &[Task]) -> Result<(), StoreError> {
        self.write("written", |transaction| {
            for task in tasks {
                transaction.execute("INSERT INTO tasks (task) VALUES (?1)", [json(task)])?;
            }
            keep::keep(transaction, client, &Touched::Everything, &[], &[])
        })?;
        self.kept_pending = client.pending().to_vec();
        self.kept_rejected = client.rejected().to_vec();
        Ok(())
    }

    /// The tasks, in their order; those that the server refused too.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn tasks(&self) -> Result<Vec<WaitingTask>, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT id, task, refusal FROM tasks ORDER BY id")
            .map_err(StoreError::of("read"))?;
        let rows = statement
            .query_map([], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?))
            })
            .map_err(StoreError::of("read"))?;
        rows.map(|row| {
            let (id, task, refusal) = row.map_err(StoreError::of("read"))?;
            Ok(WaitingTask { id: TaskId(id), task: read(&task)?, refusal })
        })
        .collect()
    }

    /// Puts a task in the place of another: it has come further.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing was changed.
    pub fn advance(&mut self, id: TaskId, task: &Task) -> Result<(), StoreError> {
        self.write("written", |transaction| {
            let sql = "UPDATE tasks SET task = ?2, refusal = NULL WHERE id = ?1";
            transaction.execute(sql, params![id.0, json(task)]).map(drop)
        })
    }

    /// A task is done, or given up.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing was changed.
    pub fn end_task(&mut self, id: TaskId) -> Result<(), StoreError> {
        self.write("written", |transaction| {
            transaction.execute("DELETE FROM tasks WHERE id = ?1", [id.0]).map(drop)
        })
    }

    /// The server will not do a task. `None`: it is tried again.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing was changed.
    pub fn set_refusal(&mut self, id: TaskId, refusal: Option<&str>) -> Result<(), StoreError> {
        self.write("written", |transaction| {
            transaction
                .execute("UPDATE tasks SET refusal = ?2 WHERE id = ?1", params![id.0, refusal])
                .map(drop)
        })
    }

    /// Takes note of tasks and of what is known of items.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing was changed.
    pub fn note(&mut self, beside: &Beside<'_>) -> Result<(), StoreError> {
        self.write("written", |transaction| {
            for task in beside.tasks {
                transaction.execute("INSERT INTO tasks (task) VALUES (?1)", [json(task)])?;
            }
            beside.items.iter().try_for_each(|item| put_item(transaction, item))
        })
    }

    /// What is known of items.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn items(&self) -> Result<Vec<Item>, StoreError> {
        let mut statement =
            self.connection.prepare("SELECT item FROM items ORDER BY id").map_err(StoreError::of("read"))?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).map_err(StoreError::of("read"))?;
        rows.map(|row| read(&row.map_err(StoreError::of("read"))?)).collect()
    }

    /// Whether anything is known of an item.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn has_item(&self, id: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM items WHERE id = ?1";
        let found = self.connection.query_row(sql, [id], |_| Ok(())).optional();
        Ok(found.map_err(StoreError::of("read"))?.is_some())
    }

    /// Takes in what the server says of items: those that it knows, those that are gone, and how far its feed of
    /// objects was read with that.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing was changed.
    pub fn learn(&mut self, known: &[Item], gone: &[String], cursor: &str) -> Result<(), StoreError> {
        self.write("written", |transaction| {
            known.iter().try_for_each(|item| put_item(transaction, item))?;
            for id in gone {
                transaction.execute("DELETE FROM items WHERE id = ?1", [id])?;
            }
            Self::set_meta(transaction, "objects-cursor", cursor)
        })
    }

    /// How far the feed of objects was read; `None`: not at all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn objects_cursor(&self) -> Result<Option<String>, StoreError> {
        Ok(self.meta("objects-cursor")?.filter(|cursor| !cursor.is_empty()))
    }

    /// Forgets what is known of items, so that all of it is asked anew.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing was changed.
    pub fn forget_items(&mut self) -> Result<(), StoreError> {
        self.write("written", |transaction| {
            transaction.execute("DELETE FROM items", [])?;
            Self::set_meta(transaction, "objects-cursor", "")
        })
    }

    /// What was counted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn metrics(&self) -> Result<Metrics, StoreError> {
        self.meta("metrics")?.map_or_else(|| Ok(Metrics::default()), |text| read(&text))
    }

    /// Keeps what was counted.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing was changed.
    pub fn keep_metrics(&mut self, metrics: &Metrics) -> Result<(), StoreError> {
        self.write("written", |transaction| Self::set_meta(transaction, "metrics", &json(metrics)))
    }

    /// Looks through the whole file.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with what is wrong first.
    pub fn check(&self) -> Result<(), StoreError> {
        let said: String = self
            .connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(StoreError::of("read"))?;
        if said == "ok" { Ok(()) } else { Err(StoreError::corrupt(format!("the store is damaged: {said}"))) }
    }

    /// Writes everything into the one file, and ends.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn close(self) -> Result<(), StoreError> {
        let written = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        written.map_err(StoreError::of("closed"))?;
        self.connection.close().map_err(|(_, error)| StoreError::of("closed")(error))
    }

    /// Bounds the size of the file, in bytes, as a full disk would.
    ///
    /// # Errors
    /// [`StoreError`].
    #[cfg(feature = "crash-points")]
    pub fn bound(&self, bytes: u64) -> Result<(), StoreError> {
        let pages = i64::try_from(bytes / 4_096).unwrap_or(i64::MAX);
        let set = self.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()));
        set.map_err(StoreError::of("bounded"))
    }
}

/// What is kept together with the state of a client.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    /// Tasks that begin to wait.
    pub tasks: &'a [Task],
    /// What is known of items from now on.
    pub items: &'a [Item],
}

fn put_item(transaction: &Transaction<'_>, item: &Item) -> rusqlite::Result<()> {
    let sql = "INSERT INTO items VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET item = excluded.item";
    transaction.execute(sql, [&item.id, &json(item)]).map(drop)
}

fn json(value: &impl Serialize) -> String {
    // Plain data: its texts are texts and its keys are names, so that it can always be written.
    serde_json::to_string(value).unwrap_or_default()
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::corrupt(format!("the store holds what is not understood: {error}")))
}

/// An export as it is kept in a file and given to whoever asks.
#[must_use]
pub fn export_text(state: &ExportedState) -> String {
    serde_json::to_string_pretty(state).unwrap_or_default()
}
