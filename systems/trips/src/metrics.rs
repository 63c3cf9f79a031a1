//! What is counted of the migration: in this process for whoever watches it, and by day in the store for whoever
//! decides whether legacy keys are still read.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use tidegate_store::kv::{Change, Condition, Key, KvError, KvStore, Namespace, UnixSecond, Write, Written};

/// Seconds of a day.
pub(crate) const DAY_SECONDS: i64 = 86_400;
/// Tries of a day's counter that other processes write at the same time.
const TRIES_MAX: usize = 16;

/// Counters of one process.
#[derive(Debug, Default)]
pub struct Metrics {
    users_started: AtomicU64,
    users_completed: AtomicU64,
    records_migrated: AtomicU64,
    records_failed: AtomicU64,
    errors: AtomicU64,
    legacy_reads: AtomicU64,
    unflushed: AtomicU64,
    remaining: Mutex<BTreeMap<String, u64>>,
}

impl Metrics {
    /// A user's keys begin to be copied.
    pub fn user_started(&self) {
        self.users_started.fetch_add(1, Ordering::Relaxed);
    }

    /// A user's keys are all copied.
    pub fn user_completed(&self) {
        self.users_completed.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that were copied, and such as could not be.
    pub fn records(&self, migrated: u64, failed: u64) {
        self.records_migrated.fetch_add(migrated, Ordering::Relaxed);
        self.records_failed.fetch_add(failed, Ordering::Relaxed);
    }

    /// Something failed.
    pub fn error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Answers came from legacy keys.
    pub fn legacy_reads(&self, count: u64) {
        self.legacy_reads.fetch_add(count, Ordering::Relaxed);
        self.unflushed.fetch_add(count, Ordering::Relaxed);
    }

    /// Legacy keys that are left, by namespace, as of the last count.
    pub fn remaining(&self, by_namespace: BTreeMap<String, u64>) {
        *self.remaining.lock().unwrap_or_else(PoisonError::into_inner) = by_namespace;
    }

    /// Failed records of those that were to be copied since the process started: 0 to 1.
    #[must_use]
    pub fn failure_rate(&self) -> f64 {
        rate(self.records_failed.load(Ordering::Relaxed), self.records_migrated.load(Ordering::Relaxed))
    }

    /// Adds what was counted of legacy reads to the day's counter in the store. What cannot be added stays counted for
    /// the next time; a process that is killed loses what it had not added.
    ///
    /// # Errors
    /// [`KvError`].
    pub async fn flush(&self, store: &dyn KvStore, migrations: &Namespace) -> Result<(), KvError> {
        let count = self.unflushed.swap(0, Ordering::SeqCst);
        if count == 0 {
            return Ok(());
        }
        let added = add(store, migrations, count).await;
        if added.is_err() {
            self.unflushed.fetch_add(count, Ordering::SeqCst);
        }
        added
    }

    /// As Prometheus' text.
    #[must_use]
    pub fn render(&self) -> String {
        let counters = [
            ("migration_users_started", "Users whose keys began to be copied.", &self.users_started),
            ("migration_users_completed", "Users whose keys are all copied.", &self.users_completed),
            ("migration_records_migrated", "Records that were copied.", &self.records_migrated),
            (
                "migration_legacy_reads",
                "Answers that came from a legacy key, since no newer copy stands under the id.",
                &self.legacy_reads,
            ),
            ("migration_errors", "Records and users that failed.", &self.errors),
        ];
        let mut text = String::new();
        for (name, help, value) in counters {
            let value = value.load(Ordering::Relaxed);
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}");
        }
        let name = "migration_legacy_keys_remaining";
        let _ = writeln!(
            text,
            "# HELP {name} Legacy keys that are left, as of the last count.\n# TYPE {name} gauge"
        );
        for (namespace, count) in self.remaining.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = writeln!(text, "{name}{{namespace=\"{namespace}\"}} {count}");
        }
        let name = "migration_failure_rate";
        let _ = writeln!(
            text,
            "# HELP {name} Failed records of those to be copied, 0 to 1.\n# TYPE {name} gauge\n{name} {}",
            self.failure_rate()
        );
        text
    }
}

/// Failed of all that were tried: 0 to 1; 0 where nothing was.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a share to a few digits; nobody copies 2^52 records")]
pub fn rate(failed: u64, done: u64) -> f64 {
    match failed.saturating_add(done) {
        0 => 0.0,
        all => failed as f64 / all as f64,
    }
}

/// Legacy reads of the last `days` days, today among them, as the store has them.
///
/// # Errors
/// [`KvError`]; [`KvError::Corrupt`] where a counter is no number.
pub async fn legacy_reads_of_days(
    store: &dyn KvStore,
    migrations: &Namespace,
    days: i64,
) -> Result<u64, KvError> {
    let now = store.now().await?;
    let mut keys = Vec::new();
    for day in 0..days.clamp(1, 366) {
        keys.push(day_key(UnixSecond(now.0 - day * DAY_SECONDS))?);
    }
    let mut sum = 0_u64;
    for (key, entry) in keys.iter().zip(store.get_many(migrations, &keys).await?) {
        if let Some(entry) = entry {
            sum = sum.saturating_add(number(key, &entry.value)?);
        }
    }
    Ok(sum)
}

async fn add(store: &dyn KvStore, migrations: &Namespace, count: u64) -> Result<(), KvError> {
    let key = day_key(store.now().await?)?;
    for _try in 0..TRIES_MAX {
        let found = store.get(migrations, &key).await?;
        let (before, condition) = match &found {
            Some(entry) => (number(&key, &entry.value)?, Condition::Version(entry.version)),
            None => (0, Condition::Absent),
        };
        let value = Bytes::from(before.saturating_add(count).to_string());
        let change = Change::Put { value, metadata: None, expires_at: None };
        let write = Write { namespace: migrations.clone(), key: key.clone(), change, condition };
        if let Written::Done(_) = store.write(write).await? {
            return Ok(());
        }
    }
    Err(KvError::Unavailable {
        store: format!("{store:?}"),
        message: format!("{key} was written by others {TRIES_MAX} times in a row"),
    })
}

fn day_key(at: UnixSecond) -> Result<Key, KvError> {
    let at = Timestamp::from_second(at.0).unwrap_or_default();
    Key::new(format!("migration:legacy_reads:{}", at.strftime("%Y-%m-%d")))
}

fn number(key: &Key, value: &[u8]) -> Result<u64, KvError> {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or_else(|| KvError::Corrupt {
        store: "of migrations".to_owned(),
        message: format!("{key} is no count"),
    })
}
