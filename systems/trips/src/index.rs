//! The index of each user: a head, whose version orders all that is done to the user's records, and a row for each record.
//!
//! Every write of a record is one batch with its row, the head and the count of trips, on condition of the head's version:
//! the index cannot drift from the records, and two writers of one user follow one another. What wrote records beside it
//! (a migration, a restore, an older version of the service) marks it as dirty, and a repair makes it anew.
//!
//! Keys, in [`keyspace::index`]: `index:<owner>:head` and `index:<owner>:<kind>:<record>`, in which `%` and `:` of the
//! owner are escaped, so that no owner's keys begin with another's.

mod checking;

use std::collections::BTreeMap;
use std::future::Future;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tidegate_store::kv::{
    Change, Condition, Entry, KEY_MAX_BYTES, Key, KvStore, UnixSecond, Version, Write, WrittenAll,
};

use crate::app::AppError;
use crate::keyspace;
use crate::record::{Kind, clock};
use crate::scan;

pub use checking::Check;
pub(crate) use checking::{check, wipe, wipe_legacy};

/// Tries of a write that others are in the way of.
pub(crate) const TRIES_MAX: usize = 64;
/// Most records of one kind of one user.
pub(crate) const RECORDS_MAX: usize = 1_000_000;
/// Rows that are written in one batch, beside the head.
pub(crate) const ROWS: usize = 500;
/// The same, while the user waits for an answer.
pub(crate) const ROWS_GENTLE: usize = 64;

/// What stands before the hash of a record's id in the key of its row.
const HASHED: char = '~';

/// The head of an index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Live records of each kind.
    #[serde(default)]
    pub(crate) live: BTreeMap<String, u64>,
    /// Trips that were made in each month, `YYYY-MM`: quotas count by it, so deletions do not lower it.
    #[serde(default)]
    pub(crate) months: BTreeMap<String, u64>,
    /// The version that the lease of migrations had when the index was made: whoever renewed it since has written records
    /// beside the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lease: Option<u64>,
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
            updated_at: clock(body).map(|at| at.to_string()).unwrap_or_default(),
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

fn owned(owner: &str) -> String {
    format!("index:{}:", owner.replace('%', "%25").replace(':', "%3A"))
}

fn head_key(owner: &str) -> Result<Key, AppError> {
    Ok(Key::new(format!("{}head", owned(owner)))?)
}

fn row_key(owner: &str, kind: Kind, record: &str) -> Result<Key, AppError> {
    let begins = format!("{}{}:", owned(owner), kind.name());
    // A record that came with its id may have one that leaves no room in a key of the index.
    if begins.len() + record.len() > KEY_MAX_BYTES || record.starts_with(HASHED) {
        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(record.as_bytes()));
        return Ok(Key::new(format!("{begins}{HASHED}{hash}"))?);
    }
    Ok(Key::new(format!("{begins}{record}"))?)
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
    // An owner whose name leaves no room in a key has no index.
    let Ok(key) = head_key(owner) else { return Ok(None) };
    match store.get(&keyspace::index(), &key).await? {
        None => Ok(None),
        Some(entry) => Ok(Some((parsed(&key, &entry)?, entry.version))),
    }
}

/// As [`head`]; one that cannot be read is empty, and is told as such.
async fn head_or_none(store: &dyn KvStore, owner: &str) -> Result<(Option<(Head, Version)>, bool), AppError> {
    match head(store, owner).await {
        Err(AppError::Corrupt { .. }) => {
            let found = store.get(&keyspace::index(), &head_key(owner)?).await?;
            Ok((found.map(|entry| (Head::default(), entry.version)), false))
        }
        found => Ok((found?, true)),
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
        let (found, is_readable) = head_or_none(store, id).await?;
        if !is_readable {
            repair(store, id, &[]).await?;
            continue;
        }
        let Some((mut head, version)) = found else {
            if store.get(&keyspace::users(), &keyspace::user(id)?).await?.is_none() {
                return Err(no_account());
            }
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
        if made(store, id, writes).await? {
            return Ok(answer);
        }
    }
    Err(AppError::Contended { what: format!("the index of {id}"), tries: TRIES_MAX })
}

/// Makes these writes, unless a condition of theirs does not hold: false.
///
/// # Errors
/// [`AppError::Absent`] once the deletion of the account has begun: nothing is written behind it.
async fn made(store: &dyn KvStore, id: &str, mut writes: Vec<Write>) -> Result<bool, AppError> {
    writes.insert(0, keyspace::unless_deleted(id)?);
    match store.write_all(&writes).await? {
        WrittenAll::Done(_) => Ok(true),
        WrittenAll::Refused { index: 0, .. } => Err(no_account()),
        WrittenAll::Refused { .. } => Ok(false),
    }
}

fn no_account() -> AppError {
    AppError::Absent { what: "the account".to_owned() }
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
    let is_current = match head_or_none(store, id).await? {
        (Some((head, _)), true) => head.lease == lease(store, id).await?.map(|lease| lease.version.0),
        _ => false,
    };
    if !is_current || is_marked(store, id).await? {
        repair(store, id, &[]).await?;
    }
    let standing = standing(store, id, kind).await?;
    Ok(standing.into_values().map(|(row, _)| row).collect())
}

async fn mark(store: &dyn KvStore, id: &str) -> Result<Option<Version>, AppError> {
    let found = store.get(&keyspace::logs(), &keyspace::index_dirty(id)?).await?;
    Ok(found.map(|entry| entry.version))
}

async fn is_marked(store: &dyn KvStore, id: &str) -> Result<bool, AppError> {
    Ok(mark(store, id).await?.is_some())
}

/// The lease of migrations of a user, as far as it is of interest here.
struct Lease {
    version: Version,
    is_held: bool,
}

async fn lease(store: &dyn KvStore, id: &str) -> Result<Option<Lease>, AppError> {
    #[derive(Deserialize)]
    struct Stored {
        until: i64,
    }
    let key = keyspace::lease(id)?;
    let Some(entry) = store.get(&keyspace::migrations(), &key).await? else { return Ok(None) };
    let stored: Stored = parsed(&key, &entry)?;
    let is_held = stored.until > store.now().await?.0;
    Ok(Some(Lease { version: entry.version, is_held }))
}

fn condition(version: Option<Version>) -> Condition {
    version.map_or(Condition::Absent, Condition::Version)
}

/// The rows that stand, by record. One that cannot be read is none: a repair makes it anew.
async fn standing(
    store: &dyn KvStore,
    owner: &str,
    kind: Kind,
) -> Result<BTreeMap<String, (Row, Option<UnixSecond>)>, AppError> {
    let prefix = format!("{}{}:", owned(owner), kind.name());
    let mut rows = BTreeMap::new();
    scan::each(store, &keyspace::index(), &prefix, |key, entry| {
        let Ok(row) = parsed::<Row>(&key, &entry) else { return Ok(()) };
        let record = key.as_str().strip_prefix(&prefix).unwrap_or_default();
        let record = if record.starts_with(HASHED) { row.id.clone() } else { record.to_owned() };
        rows.insert(record, (row, entry.expires_at));
        Ok(())
    })
    .await?;
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
    scan::each(store, &kind.namespace(), &prefix, |key, entry| {
        if let Ok(body) = serde_json::from_slice::<Value>(&entry.value) {
            let record = key.as_str().strip_prefix(&prefix).unwrap_or_default().to_owned();
            rows.insert(record.clone(), (Row::of(&record, &body), entry.expires_at));
        }
        Ok(())
    })
    .await?;
    Ok(rows)
}

/// See [`crate::App::repair_index`]. A write in between is not lost: it changes the head, and the repair begins again. Nor
/// is what a migration writes meanwhile: it has the lease, and the index is made again at the next list.
pub(crate) async fn repair(
    store: &dyn KvStore,
    id: &str,
    spellings: &[String],
) -> Result<Repaired, AppError> {
    for _try in 0..TRIES_MAX {
        if let Some(repaired) = repair_once(store, id, spellings, || ROWS).await? {
            return Ok(repaired);
        }
    }
    Err(AppError::Contended { what: format!("the index of {id}"), tries: TRIES_MAX })
}

/// One try of a repair; `None`: others were faster.
pub(crate) async fn repair_once(
    store: &dyn KvStore,
    id: &str,
    spellings: &[String],
    rows_at_once: impl Fn() -> usize,
) -> Result<Option<Repaired>, AppError> {
    let (found, _) = head_or_none(store, id).await?;
    let marked = mark(store, id).await?;
    let lease = lease(store, id).await?;
    let mut new = Head {
        lease: lease.filter(|lease| !lease.is_held).map(|lease| lease.version.0),
        months: found.as_ref().map(|(head, _)| head.months.clone()).unwrap_or_default(),
        ..Head::default()
    };
    for spelling in spellings {
        let (Some((legacy, _)), _) = head_or_none(store, spelling).await? else { continue };
        for (month, count) in legacy.months {
            let kept = new.months.entry(month).or_default();
            *kept = count.max(*kept);
        }
    }
    let unchanged = condition(found.as_ref().map(|(_, version)| *version));
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
    if !batches(store, id, writes, unchanged, rows_at_once).await? {
        return Ok(None);
    }
    let trips = new.live.get(Kind::Trip.name()).copied().unwrap_or(0);
    let last = vec![
        write(head_key(id)?, json(&new, None), unchanged),
        count(id, trips)?,
        // Whoever marked it since has written something that was not seen here.
        Write {
            namespace: keyspace::logs(),
            key: keyspace::index_dirty(id)?,
            change: Change::Delete,
            condition: condition(marked),
        },
    ];
    Ok(made(store, id, last).await?.then_some(Repaired { rows }))
}

/// Makes the rows in batches, each only while nobody changed the head; false where somebody did.
async fn batches(
    store: &dyn KvStore,
    id: &str,
    writes: Vec<Write>,
    unchanged: Condition,
    at_once: impl Fn() -> usize,
) -> Result<bool, AppError> {
    let mut writes = writes.into_iter().peekable();
    while writes.peek().is_some() {
        let mut batch: Vec<Write> = writes.by_ref().take(at_once()).collect();
        batch.push(write(head_key(id)?, Change::Keep, unchanged));
        if !made(store, id, batch).await? {
            return Ok(false);
        }
    }
    Ok(true)
}
