//! The index of each user: a head, whose version orders all that is done to the user's records, and a row for each record.
//!
//! Every write of a record is one batch with its row, the head and the count of trips, on condition of the head's version:
//! the index cannot drift from the records, and two writers of one user follow one another. What wrote records beside it
//! (a migration, a restore, an older version of the service) marks it as dirty, and [`repair`] makes it anew.
//!
//! Keys, in [`keyspace::index`]: `index:<owner>:head` and `index:<owner>:<kind>:<record>`, in which `%` and `:` of the
//! owner are escaped, so that no owner's keys begin with another's.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidegate_store::kv::{
    Change, Condition, Entry, Key, KvStore, PAGE_MAX, UnixSecond, Version, Write, WrittenAll,
};

use crate::app::AppError;
use crate::keyspace;
use crate::record::Kind;

/// Tries of a write that others are in the way of.
pub(crate) const TRIES_MAX: usize = 64;
/// Most records of one kind of one user.
pub(crate) const RECORDS_MAX: usize = 1_000_000;
/// Rows that are written in one batch, beside the head.
const ROWS: usize = 500;
/// Ids that a check names of each kind.
const NAMED_MAX: usize = 20;

/// The head of an index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Live records of each kind.
    #[serde(default)]
    pub(crate) live: BTreeMap<String, u64>,
    /// Trips that were made in each month, `YYYY-MM`: quotas count by it, so deletions do not lower it.
    #[serde(default)]
    pub(crate) months: BTreeMap<String, u64>,
}

/// What an index says of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) date: String,
    #[serde(default)]
    pub(crate) created_at: String,
    #[serde(default)]
    pub(crate) updated_at: String,
    #[serde(default)]
    pub(crate) deleted: bool,
}

impl Row {
    pub(crate) fn of(record: &str, body: &Value) -> Self {
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            id: record.to_owned(),
            date: text("date"),
            created_at: text("createdAt"),
            updated_at: text("updatedAt"),
            deleted: body.get("deleted").and_then(Value::as_bool).unwrap_or(false),
        }
    }
}

/// Something that changes one record.
pub(crate) trait Deed: Sync {
    /// What it comes to, on what stands now.
    fn plan(&self) -> impl Future<Output = Result<Planned, AppError>> + Send;
}

/// One change of a record, planned on what was read.
pub(crate) struct Planned {
    /// The writes of the record itself.
    pub(crate) writes: Vec<Write>,
    /// Its row afterwards, and when it ends; `None`: it has none.
    pub(crate) row: Option<(Row, Option<UnixSecond>)>,
    /// The month whose quota it counts for.
    pub(crate) month: Option<String>,
    /// What the caller is answered.
    pub(crate) answer: Value,
}

/// What a repair came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// Rows that the index has now.
    pub rows: u64,
}

/// What a check came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Check {
    /// What is kept as the count of trips.
    pub trip_count: Option<u64>,
    /// Live records of each kind.
    pub live: BTreeMap<String, u64>,
    /// Live rows of each kind.
    pub rows: BTreeMap<String, u64>,
    /// Records without a row; the first of them.
    pub missing: Vec<String>,
    /// Rows without a record, or with another state; the first of them.
    pub stale: Vec<String>,
    /// It is marked.
    pub is_dirty: bool,
    is_unequal: bool,
}

impl Check {
    /// Whether index, records and count say the same.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let trips = self.live.get(Kind::Trip.name()).copied().unwrap_or(0);
        !self.is_dirty && !self.is_unequal && self.trip_count.unwrap_or(0) == trips
    }
}

fn owned(owner: &str) -> String {
    format!("index:{}:", owner.replace('%', "%25").replace(':', "%3A"))
}

fn head_key(owner: &str) -> Result<Key, AppError> {
    Ok(Key::new(format!("{}head", owned(owner)))?)
}

fn row_key(owner: &str, kind: Kind, record: &str) -> Result<Key, AppError> {
    Ok(Key::new(format!("{}{}:{record}", owned(owner), kind.name()))?)
}

fn write(key: Key, change: Change, condition: Condition) -> Write {
    Write { namespace: keyspace::index(), key, change, condition }
}

fn json<T: Serialize>(value: &T, expires_at: Option<UnixSecond>) -> Change {
    let value = Bytes::from(serde_json::to_vec(value).unwrap_or_default());
    Change::Put { value, metadata: None, expires_at }
}

fn parsed<T: for<'de> Deserialize<'de>>(key: &Key, entry: &Entry) -> Result<T, AppError> {
    serde_json::from_slice(&entry.value)
        .map_err(|error| AppError::Corrupt { key: key.to_string(), message: error.to_string() })
}

/// The head and its version; `None`: the user has no index yet.
async fn head(store: &dyn KvStore, owner: &str) -> Result<Option<(Head, Version)>, AppError> {
    let key = head_key(owner)?;
    match store.get(&keyspace::index(), &key).await? {
        None => Ok(None),
        Some(entry) => Ok(Some((parsed(&key, &entry)?, entry.version))),
    }
}

/// Makes one change of a record with all that follows from it, or nothing. The deed is planned again when others were faster.
pub(crate) async fn change(
    store: &dyn KvStore,
    id: &str,
    kind: Kind,
    record: &str,
    deed: &impl Deed,
) -> Result<Value, AppError> {
    let row_key = row_key(id, kind, record)?;
    for _try in 0..TRIES_MAX {
        let Some((mut head, version)) = head(store, id).await? else {
            repair(store, id, &[]).await?;
            continue;
        };
        let before = match store.get(&keyspace::index(), &row_key).await? {
            Some(entry) => Some(parsed::<Row>(&row_key, &entry)?),
            None => None,
        };
        let Planned { mut writes, row, month, answer } = deed.plan().await?;
        let was_live = before.is_some_and(|row| !row.deleted);
        let is_live = row.as_ref().is_some_and(|(row, _)| !row.deleted);
        let live = head.live.entry(kind.name().to_owned()).or_default();
        *live = live.saturating_add(u64::from(is_live)).saturating_sub(u64::from(was_live));
        let trips = head.live.get(Kind::Trip.name()).copied().unwrap_or(0);
        if let Some(month) = month {
            *head.months.entry(month).or_default() += 1;
        }
        let row = row.map_or(Change::Delete, |(row, expires_at)| json(&row, expires_at));
        writes.push(write(row_key.clone(), row, Condition::Always));
        writes.push(write(head_key(id)?, json(&head, None), Condition::Version(version)));
        if kind == Kind::Trip {
            writes.push(count(id, trips)?);
        }
        if let WrittenAll::Done(_) = store.write_all(&writes).await? {
            return Ok(answer);
        }
    }
    Err(AppError::Contended { what: format!("the index of {id}"), tries: TRIES_MAX })
}

fn count(id: &str, trips: u64) -> Result<Write, AppError> {
    let value = Bytes::from(trips.to_string());
    Ok(Write {
        namespace: keyspace::logs(),
        key: keyspace::trip_count(id)?,
        change: Change::Put { value, metadata: None, expires_at: None },
        condition: Condition::Always,
    })
}

/// The rows of one kind, and whether they can be relied on.
pub(crate) async fn rows(store: &dyn KvStore, id: &str, kind: Kind) -> Result<Vec<Row>, AppError> {
    if head(store, id).await?.is_none() || is_dirty(store, id).await? {
        repair(store, id, &[]).await?;
    }
    let standing = standing(store, id, kind).await?;
    Ok(standing.into_values().map(|(row, _)| row).collect())
}

async fn is_dirty(store: &dyn KvStore, id: &str) -> Result<bool, AppError> {
    Ok(store.get(&keyspace::logs(), &keyspace::index_dirty(id)?).await?.is_some())
}

/// The rows that stand, by record.
async fn standing(
    store: &dyn KvStore,
    owner: &str,
    kind: Kind,
) -> Result<BTreeMap<String, (Row, Option<UnixSecond>)>, AppError> {
    let prefix = format!("{}{}:", owned(owner), kind.name());
    let mut rows = BTreeMap::new();
    for (key, entry) in entries(store, &keyspace::index(), &prefix).await? {
        let record = key.as_str().strip_prefix(&prefix).unwrap_or_default().to_owned();
        rows.insert(record, (parsed(&key, &entry)?, entry.expires_at));
    }
    Ok(rows)
}

/// The rows that the records under the id call for, by record. A record that is no JSON has none.
async fn wanted(
    store: &dyn KvStore,
    id: &str,
    kind: Kind,
) -> Result<BTreeMap<String, (Row, Option<UnixSecond>)>, AppError> {
    let prefix = format!("{}{id}:", kind.prefix());
    let mut rows = BTreeMap::new();
    for (key, entry) in entries(store, &kind.namespace(), &prefix).await? {
        let Ok(body) = serde_json::from_slice::<Value>(&entry.value) else { continue };
        let record = key.as_str().strip_prefix(&prefix).unwrap_or_default().to_owned();
        rows.insert(record.clone(), (Row::of(&record, &body), entry.expires_at));
    }
    Ok(rows)
}

/// All entries of a prefix.
pub(crate) async fn entries(
    store: &dyn KvStore,
    namespace: &tidegate_store::kv::Namespace,
    prefix: &str,
) -> Result<Vec<(Key, Entry)>, AppError> {
    let keys: Vec<Key> =
        store.list_all(namespace, prefix, RECORDS_MAX).await?.into_iter().map(|listed| listed.key).collect();
    let mut found = Vec::with_capacity(keys.len());
    for keys in keys.chunks(PAGE_MAX) {
        let read = store.get_many(namespace, keys).await?;
        found.extend(keys.iter().zip(read).filter_map(|(key, entry)| Some((key.clone(), entry?))));
    }
    Ok(found)
}

/// See [`crate::App::repair_index`]. A write in between is not lost: it changes the head, and the repair begins again.
pub(crate) async fn repair(
    store: &dyn KvStore,
    id: &str,
    spellings: &[String],
) -> Result<Repaired, AppError> {
    for _try in 0..TRIES_MAX {
        let found = head(store, id).await?;
        let mut new = Head {
            months: found.as_ref().map(|(head, _)| head.months.clone()).unwrap_or_default(),
            ..Head::default()
        };
        for spelling in spellings {
            let Some((legacy, _)) = head(store, spelling).await? else { continue };
            for (month, count) in legacy.months {
                let kept = new.months.entry(month).or_default();
                *kept = count.max(*kept);
            }
        }
        let unchanged = found.map_or(Condition::Absent, |(_, version)| Condition::Version(version));
        let mut writes = Vec::new();
        let mut rows = 0_u64;
        for kind in Kind::ALL {
            let (standing, wanted) = (standing(store, id, kind).await?, wanted(store, id, kind).await?);
            let live = wanted.values().filter(|(row, _)| !row.deleted).count();
            new.live.insert(kind.name().to_owned(), u64::try_from(live).unwrap_or(u64::MAX));
            rows += u64::try_from(wanted.len()).unwrap_or(u64::MAX);
            for record in standing.keys().filter(|record| !wanted.contains_key(*record)) {
                writes.push(write(row_key(id, kind, record)?, Change::Delete, Condition::Always));
            }
            for (record, row) in wanted.iter().filter(|(record, row)| standing.get(*record) != Some(row)) {
                writes.push(write(row_key(id, kind, record)?, json(&row.0, row.1), Condition::Always));
            }
        }
        if !batches(store, id, writes, unchanged).await? {
            continue;
        }
        let trips = new.live.get(Kind::Trip.name()).copied().unwrap_or(0);
        let last = [
            write(head_key(id)?, json(&new, None), unchanged),
            count(id, trips)?,
            Write {
                namespace: keyspace::logs(),
                key: keyspace::index_dirty(id)?,
                change: Change::Delete,
                condition: Condition::Always,
            },
        ];
        if let WrittenAll::Done(_) = store.write_all(&last).await? {
            return Ok(Repaired { rows });
        }
    }
    Err(AppError::Contended { what: format!("the index of {id}"), tries: TRIES_MAX })
}

/// Makes the rows in batches, each only while nobody changed the head; false where somebody did.
async fn batches(
    store: &dyn KvStore,
    id: &str,
    writes: Vec<Write>,
    unchanged: Condition,
) -> Result<bool, AppError> {
    for rows in writes.chunks(ROWS) {
        let mut batch = rows.to_vec();
        batch.push(write(head_key(id)?, Change::Keep, unchanged));
        if let WrittenAll::Refused { .. } = store.write_all(&batch).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// See [`crate::App::check_index`].
pub(crate) async fn check(store: &dyn KvStore, id: &str) -> Result<Check, AppError> {
    let key = keyspace::trip_count(id)?;
    let counted = store.get(&keyspace::logs(), &key).await?;
    let trip_count = match &counted {
        None => None,
        Some(entry) => Some(parsed::<u64>(&key, entry)?),
    };
    let mut check = Check { trip_count, is_dirty: is_dirty(store, id).await?, ..Check::default() };
    for kind in Kind::ALL {
        let (standing, wanted) = (standing(store, id, kind).await?, wanted(store, id, kind).await?);
        let live = |rows: &BTreeMap<String, (Row, Option<UnixSecond>)>| {
            rows.iter()
                .filter(|(_, (row, _))| !row.deleted)
                .map(|(record, _)| record.clone())
                .collect::<BTreeSet<_>>()
        };
        let (rows, records) = (live(&standing), live(&wanted));
        check.is_unequal |= rows != records;
        let named = |record: &String| format!("{}:{record}", kind.name());
        check.missing.extend(records.difference(&rows).map(named).take(NAMED_MAX));
        check.stale.extend(rows.difference(&records).map(named).take(NAMED_MAX));
        let count = |ids: &BTreeSet<String>| u64::try_from(ids.len()).unwrap_or(u64::MAX);
        check.live.insert(kind.name().to_owned(), count(&records));
        check.rows.insert(kind.name().to_owned(), count(&rows));
    }
    Ok(check)
}

/// See [`crate::App::wipe_legacy_index`].
pub(crate) async fn wipe_legacy(
    store: &dyn KvStore,
    id: &str,
    spellings: &[String],
) -> Result<u64, AppError> {
    if !check(store, id).await?.is_consistent() {
        return Err(AppError::IndexDiffers { id: id.to_owned() });
    }
    let mut removed = 0;
    for spelling in spellings.iter().filter(|spelling| *spelling != id) {
        removed += wipe(store, spelling).await?;
    }
    Ok(removed)
}

/// Removes the index of an owner. How many keys were removed.
pub(crate) async fn wipe(store: &dyn KvStore, owner: &str) -> Result<u64, AppError> {
    let listed = store.list_all(&keyspace::index(), &owned(owner), RECORDS_MAX).await?;
    let writes: Vec<Write> =
        listed.into_iter().map(|listed| write(listed.key, Change::Delete, Condition::Always)).collect();
    for batch in writes.chunks(PAGE_MAX) {
        store.write_each(batch).await?;
    }
    Ok(u64::try_from(writes.len()).unwrap_or(u64::MAX))
}
