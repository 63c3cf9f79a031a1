//! Reading a user's records at the id and, while dual reading is on, at the names that are provably the user's.
//!
//! Of two copies of a record the one that was updated last counts; of two of one time, that under the id. A copy under a
//! name is read only if no other account claims the name, the key is not one of a longer name, and the body names nobody
//! else. Reading writes nothing.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use tidegate_store::kv::{Condition, Entry, Key, Version};

use crate::app::{App, AppError};
use crate::index::{self, Row};
use crate::keyspace;
use crate::migration::rewrite::{former_ids, rename_ids, renamed};
use crate::record::{Kind, clock};
use crate::scan;

/// Most records of one page.
pub const PAGE_RECORDS_MAX: usize = 500;

/// A user, and the names at which the user's records may be read.
#[derive(Debug, Clone)]
pub struct Reader {
    id: String,
    /// All spellings, own or not: a synced trip may have any of them in its id.
    spellings: Vec<String>,
    /// Each with the longer names of others that begin with it.
    own: Vec<(String, Vec<String>)>,
    /// Dual reading is on. Where it is off, copies under names are not read, but go when their record goes: they would
    /// be seen when it is turned on again.
    is_dual: bool,
}

/// The copies of one record.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    canonical: Option<(Version, Option<Value>)>,
    legacy: Vec<(Key, Version, Value)>,
    newest: Option<Value>,
    last_updated: Option<Timestamp>,
}

impl Copies {
    /// The copy that counts, as the user's.
    pub(crate) fn newest(&self) -> Option<&Value> {
        self.newest.as_ref()
    }

    /// Whether anything stands there, were it something that cannot be read.
    pub(crate) fn is_there(&self) -> bool {
        self.canonical.is_some() || self.newest.is_some()
    }

    /// When any of them was updated last.
    pub(crate) fn last_updated(&self) -> Option<Timestamp> {
        self.last_updated
    }

    /// Under which the copy at the id may be written.
    pub(crate) fn condition(&self) -> Condition {
        self.canonical.as_ref().map_or(Condition::Absent, |(version, _)| Condition::Version(*version))
    }

    /// Where copies stand under names.
    pub(crate) fn legacy_keys(&self) -> impl Iterator<Item = (&Key, Version)> {
        self.legacy.iter().map(|(key, version, _)| (key, *version))
    }
}

/// A page of records.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// By date, the newest first, then by when they were made.
    pub records: Vec<Value>,
    /// How many there are on all pages.
    pub total: usize,
}

/// What of a list is asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Those updated after it, tombstones with them; `None`: live records alone.
    pub since: Option<String>,
    /// Tombstones alone.
    pub deleted: bool,
    /// Records to pass over.
    pub offset: usize,
    /// Records of the page.
    pub limit: usize,
}

impl Reader {
    /// The user of this id, whose stored account this is.
    ///
    /// # Errors
    /// [`AppError::Store`].
    pub async fn new(app: &App, id: &str, core: &Value) -> Result<Self, AppError> {
        let own = app.user_claims().own(id, core).await?;
        let spellings = keyspace::legacy_spellings_of(id, core);
        Ok(Self { id: id.to_owned(), spellings, own, is_dual: app.reads_legacy().await? })
    }

    /// The user's id, which is all that keys are written under.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The names at which this user reads; none where dual reading is off.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.read().iter().map(|(name, _)| name.clone()).collect()
    }

    fn read(&self) -> &[(String, Vec<String>)] {
        if self.is_dual { &self.own } else { &[] }
    }

    /// The id by which a record is known: that of a synced trip had a name in it.
    #[must_use]
    pub fn known_as(&self, record: &str) -> String {
        renamed(&self.id, &self.spellings, record).unwrap_or_else(|| record.to_owned())
    }

    /// All copies of a record, which is meant by the id that it is known by.
    pub(crate) async fn copies(&self, app: &App, kind: Kind, record: &str) -> Result<Copies, AppError> {
        let mut keys = vec![kind.key(&self.id, record)?];
        let mut ids = former_ids(&self.id, &self.spellings, record);
        ids.push(record.to_owned());
        for (name, longer) in &self.own {
            for id in &ids {
                // A name so long that there can be no key of it has no records.
                let Ok(key) = kind.key(name, id) else { continue };
                if !is_of_longer(kind, &key, longer) {
                    keys.push(key);
                }
            }
        }
        let mut copies = Copies::default();
        let found = app.store().get_many(&kind.namespace(), &keys).await?;
        for (place, (key, entry)) in keys.iter().zip(found).enumerate() {
            let Some(entry) = entry else { continue };
            let body = serde_json::from_slice::<Value>(&entry.value).ok();
            if place == 0 {
                copies.canonical = Some((entry.version, body));
            } else if let Some(body) = body.filter(|body| self.may_read(body)) {
                copies.legacy.push((key.clone(), entry.version, body));
            }
        }
        let canonical = copies.canonical.as_ref().and_then(|(_, body)| body.as_ref());
        let (mut newest, mut is_legacy) = (canonical, false);
        for (_, _, body) in copies.legacy.iter().filter(|_| self.is_dual) {
            if newest.is_none_or(|newest| clock(body) > clock(newest)) {
                (newest, is_legacy) = (Some(body), true);
            }
        }
        app.metrics().legacy_reads(u64::from(is_legacy));
        copies.last_updated = canonical
            .into_iter()
            .chain(copies.legacy.iter().map(|(_, _, body)| body))
            .filter_map(clock)
            .max();
        copies.newest = newest.map(|body| self.owned(body));
        Ok(copies)
    }

    /// One record, live or deleted.
    ///
    /// # Errors
    /// [`AppError::Absent`].
    pub async fn get(&self, app: &App, kind: Kind, record: &str) -> Result<Value, AppError> {
        let copies = self.copies(app, kind, &self.known_as(record)).await?;
        copies.newest.ok_or_else(|| AppError::Absent { what: format!("{} {record}", kind.name()) })
    }

    /// A page of records.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn list(&self, app: &App, kind: Kind, wanted: &Wanted) -> Result<Listed, AppError> {
        let mut rows: BTreeMap<String, (Row, Option<Value>)> = BTreeMap::new();
        for row in index::rows(app.store().as_ref(), &self.id, kind).await? {
            rows.insert(row.id.clone(), (row, None));
        }
        for (name, longer) in self.read() {
            let prefix = format!("{}{name}:", kind.prefix());
            scan::each(app.store().as_ref(), &kind.namespace(), &prefix, |key, entry| {
                let Some(body) = self.legacy_body(kind, &key, &entry, longer) else { return Ok(()) };
                let record = self.known_as(key.as_str().strip_prefix(&prefix).unwrap_or_default());
                let row = Row::of(&record, &body);
                let is_newer = rows
                    .get(&record)
                    .is_none_or(|(known, _)| time(&row.updated_at) > time(&known.updated_at));
                if is_newer {
                    rows.insert(record, (row, Some(body)));
                }
                Ok(())
            })
            .await?;
        }
        let legacy = rows.values().filter(|(_, body)| body.is_some()).count();
        app.metrics().legacy_reads(u64::try_from(legacy).unwrap_or(u64::MAX));
        let since = wanted.since.as_deref().map(time);
        let mut chosen: Vec<(Row, Option<Value>)> = rows
            .into_values()
            .filter(|(row, _)| match since {
                Some(since) => time(&row.updated_at) > since,
                None => row.deleted == wanted.deleted,
            })
            .collect();
        chosen.sort_by_cached_key(|(row, _)| {
            Reverse((row.date.clone(), row.created_at.clone(), row.id.clone()))
        });
        let total = chosen.len();
        let limit = wanted.limit.clamp(1, PAGE_RECORDS_MAX);
        let page: Vec<(Row, Option<Value>)> = chosen.into_iter().skip(wanted.offset).take(limit).collect();
        let keys: Vec<Key> =
            page.iter().map(|(row, _)| kind.key(&self.id, &row.id)).collect::<Result<_, AppError>>()?;
        let mut stored = app.store().get_many(&kind.namespace(), &keys).await?.into_iter();
        let mut records = Vec::with_capacity(page.len());
        for (_, legacy) in page {
            let canonical = stored.next().flatten();
            let body = match legacy {
                Some(body) => Some(body),
                None => canonical.and_then(|entry| serde_json::from_slice(&entry.value).ok()),
            };
            // One that was removed since its row was read is no longer there.
            records.extend(body.map(|body| self.owned(&body)));
        }
        Ok(Listed { records, total })
    }

    /// Tombstones of all kinds, the newest first.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn trash(&self, app: &App) -> Result<Vec<Value>, AppError> {
        let wanted = Wanted { deleted: true, limit: PAGE_RECORDS_MAX, ..Wanted::default() };
        let mut all = Vec::new();
        for kind in Kind::ALL {
            for mut body in self.list(app, kind, &wanted).await?.records {
                if let Some(fields) = body.as_object_mut() {
                    fields.insert("recordType".to_owned(), json!(kind.name()));
                }
                all.push(body);
            }
        }
        all.sort_by_cached_key(|body| {
            Reverse(body.get("deletedAt").and_then(Value::as_str).unwrap_or_default().to_owned())
        });
        Ok(all)
    }

    fn legacy_body(&self, kind: Kind, key: &Key, entry: &Entry, longer: &[String]) -> Option<Value> {
        if is_of_longer(kind, key, longer) {
            return None;
        }
        serde_json::from_slice::<Value>(&entry.value).ok().filter(|body| self.may_read(body))
    }

    /// The body names this user or nobody.
    fn may_read(&self, body: &Value) -> bool {
        let named = ["/userId", "/backup/userId"].iter().filter_map(|pointer| body.pointer(pointer));
        body.is_object()
            && named.into_iter().all(|owner| {
                owner
                    .as_str()
                    .is_some_and(|owner| owner == self.id || self.own.iter().any(|(name, _)| name == owner))
            })
    }

    /// The record as the user's.
    fn owned(&self, body: &Value) -> Value {
        let mut body = body.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.insert("userId".to_owned(), json!(self.id));
            if let Some(backup) = fields.get_mut("backup").and_then(Value::as_object_mut) {
                backup.insert("userId".to_owned(), json!(self.id));
            }
        }
        rename_ids(&self.id, &self.spellings, &mut body);
        body
    }
}

/// The key may also be one of a longer name that another account has.
fn is_of_longer(kind: Kind, key: &Key, longer: &[String]) -> bool {
    let rest = key.as_str().strip_prefix(kind.prefix()).unwrap_or_default();
    longer.iter().any(|name| rest.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with(':')))
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}
