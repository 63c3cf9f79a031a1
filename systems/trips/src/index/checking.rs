//! Whether an index says what the records say, and the indexes of names, which go once it does.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_store::kv::{Change, Condition, KvStore, PAGE_MAX, UnixSecond, Version, Write};

use super::{RECORDS_MAX, Row, TRIES_MAX, head_or_none, is_marked, owned, parsed, standing, wanted, write};
use crate::app::AppError;
use crate::keyspace;
use crate::record::Kind;

/// Ids that a check names of each kind.
const NAMED_MAX: usize = 20;

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

/// See [`crate::App::check_index`]. A look between whose parts the user wrote something is no look, and made again; after
/// many such the last one is told.
pub(crate) async fn check(store: &dyn KvStore, id: &str) -> Result<Check, AppError> {
    let mut before = version(store, id).await?;
    for _try in 1..TRIES_MAX {
        let check = look(store, id).await?;
        let after = version(store, id).await?;
        if before == after {
            return Ok(check);
        }
        before = after;
    }
    look(store, id).await
}

async fn version(store: &dyn KvStore, id: &str) -> Result<Option<Version>, AppError> {
    Ok(head_or_none(store, id).await?.0.map(|(_, version)| version))
}

async fn look(store: &dyn KvStore, id: &str) -> Result<Check, AppError> {
    let key = keyspace::trip_count(id)?;
    let counted = store.get(&keyspace::logs(), &key).await?;
    let trip_count = counted.as_ref().and_then(|entry| parsed::<u64>(&key, entry).ok());
    let is_readable = head_or_none(store, id).await?.1 && trip_count.is_some() == counted.is_some();
    let mut check = Check {
        trip_count,
        is_dirty: is_marked(store, id).await?,
        is_unequal: !is_readable,
        ..Check::default()
    };
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
