//! Trips, expenses and mileage: made, changed, deleted, brought back. Written under the id of their user and nowhere else.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tidegate_store::kv::{Change, Condition, Key, Namespace, UnixSecond, Write};
use uuid::Uuid;

use crate::app::{App, AppError};
use crate::index::{self, Deed, Planned, Row};
use crate::keyspace;
use crate::reading::{Copies, Reader};

/// Most bytes of a record's id.
const ID_BYTES_MAX: usize = 200;

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A trip.
    Trip,
    /// An expense.
    Expense,
    /// Driven miles.
    Mileage,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Trip, Self::Expense, Self::Mileage];

    /// Its name, in keys of indexes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trip => "trip",
            Self::Expense => "expense",
            Self::Mileage => "mileage",
        }
    }

    /// What its keys begin with.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Trip => "trip:",
            Self::Expense => "expense:",
            Self::Mileage => "mileage:",
        }
    }

    /// Where its records stand.
    #[must_use]
    pub fn namespace(self) -> Namespace {
        match self {
            Self::Trip => keyspace::logs(),
            Self::Expense => keyspace::expenses(),
            Self::Mileage => keyspace::mileage(),
        }
    }

    /// The key of a record of this owner.
    pub(crate) fn key(self, owner: &str, record: &str) -> Result<Key, AppError> {
        Ok(Key::new(format!("{}{owner}:{record}", self.prefix()))?)
    }
}

/// Fields that the service sets.
const OWN_FIELDS: [&str; 8] =
    ["id", "userId", "createdAt", "updatedAt", "deleted", "deletedAt", "deletedBy", "backup"];

/// What is done with a record.
enum What<'a> {
    Create(&'a Map<String, Value>),
    Update(&'a Map<String, Value>),
    Delete,
    Restore,
    Purge,
}

/// One thing done with one record of one user.
struct Done<'a> {
    app: &'a App,
    user: &'a Reader,
    kind: Kind,
    record: &'a str,
    what: What<'a>,
}

/// Makes a record; its id is the one given or a new one.
///
/// # Errors
/// [`AppError::Refused`] where one of that id is there, deleted or not, or the id cannot be one.
pub async fn create(
    app: &App,
    user: &Reader,
    kind: Kind,
    given: &Map<String, Value>,
) -> Result<Value, AppError> {
    let record = match given.get("id") {
        None => Uuid::new_v4().to_string(),
        Some(id) => {
            id.as_str().map(str::to_owned).ok_or_else(|| AppError::Refused("id must be a text".to_owned()))?
        }
    };
    must_be_id(&record)?;
    Done { app, user, kind, record: &user.known_as(&record), what: What::Create(given) }.make().await
}

/// Changes the given fields of a record. One that stands under a name only is written under the id.
///
/// # Errors
/// [`AppError::Absent`], also for one that is deleted.
pub async fn update(
    app: &App,
    user: &Reader,
    kind: Kind,
    record: &str,
    given: &Map<String, Value>,
) -> Result<Value, AppError> {
    Done { app, user, kind, record: &user.known_as(record), what: What::Update(given) }.make().await
}

/// Deletes a record: a tombstone stands in its place for 30 days, with the record in it. Copies under names go in the
/// same batch, or they would be seen again when the tombstone ends.
///
/// # Errors
/// [`AppError::Absent`].
pub async fn delete(app: &App, user: &Reader, kind: Kind, record: &str) -> Result<Value, AppError> {
    Done { app, user, kind, record: &user.known_as(record), what: What::Delete }.make().await
}

/// Brings a deleted record back, under the id.
///
/// # Errors
/// [`AppError::Absent`] where it is not deleted, or its tombstone has ended.
pub async fn restore(app: &App, user: &Reader, kind: Kind, record: &str) -> Result<Value, AppError> {
    Done { app, user, kind, record: &user.known_as(record), what: What::Restore }.make().await
}

/// Removes a record for good, its copies under names with it.
///
/// # Errors
/// [`AppError::Absent`].
pub async fn purge(app: &App, user: &Reader, kind: Kind, record: &str) -> Result<(), AppError> {
    Done { app, user, kind, record: &user.known_as(record), what: What::Purge }.make().await.map(|_| ())
}

impl Deed for Done<'_> {
    async fn plan(&self) -> Result<Planned, AppError> {
        let copies = self.user.copies(self.app, self.kind, self.record).await?;
        match self.what {
            What::Create(given) => self.created(&copies, given).await,
            What::Update(given) => {
                let mut body = self.live(&copies)?;
                extend(&mut body, given);
                body.insert("userId".to_owned(), json!(self.user.id()));
                body.insert("updatedAt".to_owned(), json!(moment(self.app, &copies).await?));
                self.stands(Value::Object(body), &copies)
            }
            What::Delete => self.deleted(&copies).await,
            What::Restore => self.restored(&copies).await,
            What::Purge => self.purged(&copies),
        }
    }
}

impl Done<'_> {
    async fn make(self) -> Result<Value, AppError> {
        index::change(self.app.store().as_ref(), self.user.id(), self.kind, self.record, &self).await
    }

    async fn created(&self, copies: &Copies, given: &Map<String, Value>) -> Result<Planned, AppError> {
        if copies.is_there() {
            return Err(AppError::Refused(format!(
                "there is a {} {} already",
                self.kind.name(),
                self.record
            )));
        }
        let now = moment(self.app, copies).await?;
        let mut body = Map::new();
        body.insert("id".to_owned(), json!(self.record));
        body.insert("userId".to_owned(), json!(self.user.id()));
        extend(&mut body, given);
        body.insert("createdAt".to_owned(), json!(now));
        body.insert("updatedAt".to_owned(), json!(now));
        let month = (self.kind == Kind::Trip).then(|| now.chars().take(7).collect());
        Ok(Planned { month, ..self.stands(Value::Object(body), copies)? })
    }

    async fn deleted(&self, copies: &Copies) -> Result<Planned, AppError> {
        let (kind, id) = (self.kind, self.user.id());
        let mut backup = self.live(copies)?;
        backup.insert("userId".to_owned(), json!(id));
        let now = moment(self.app, copies).await?;
        let until = UnixSecond(self.app.store().now().await?.0 + keyspace::TOMBSTONE_SECONDS);
        let key = kind.key(id, self.record)?;
        let mut metadata = fields([
            ("deletedAt", json!(now)),
            ("originalKey", json!(key.as_str())),
            ("expiresAt", json!(Timestamp::from_second(until.0).unwrap_or_default().to_string())),
        ]);
        let date = text(&backup, "date");
        let mut body = fields([
            ("id", json!(self.record)),
            ("userId", json!(id)),
            ("deleted", json!(true)),
            ("deletedAt", json!(now)),
            ("createdAt", json!(backup.get("createdAt"))),
            ("updatedAt", json!(now)),
            ("backup", json!(backup)),
        ]);
        if kind == Kind::Trip {
            body.insert("deletedBy".to_owned(), json!(id));
            metadata.insert("deletedBy".to_owned(), json!(id));
        }
        let kept = Value::Object(metadata.clone()).to_string();
        body.insert("metadata".to_owned(), Value::Object(metadata));
        let body = Value::Object(body);
        let row = Row { date, ..Row::of(self.record, &body) };
        let mut writes = vec![put(kind, key, &body, Some(kept), Some(until), copies.condition())];
        writes.extend(gone(kind, copies));
        Ok(Planned { writes, row: Some((row, Some(until))), month: None, answer: body })
    }

    async fn restored(&self, copies: &Copies) -> Result<Planned, AppError> {
        let absent = || AppError::Absent { what: format!("a deleted {} {}", self.kind.name(), self.record) };
        let tombstone = copies.newest().filter(|body| is_deleted(body)).ok_or_else(absent)?;
        let mut body = tombstone.get("backup").and_then(Value::as_object).cloned().ok_or_else(absent)?;
        body.insert("id".to_owned(), json!(self.record));
        body.insert("userId".to_owned(), json!(self.user.id()));
        body.insert("updatedAt".to_owned(), json!(moment(self.app, copies).await?));
        let mut planned = self.stands(Value::Object(body), copies)?;
        planned.writes.extend(gone(self.kind, copies));
        Ok(planned)
    }

    fn purged(&self, copies: &Copies) -> Result<Planned, AppError> {
        if !copies.is_there() {
            return Err(AppError::Absent { what: format!("{} {}", self.kind.name(), self.record) });
        }
        let mut writes = vec![Write {
            namespace: self.kind.namespace(),
            key: self.kind.key(self.user.id(), self.record)?,
            change: Change::Delete,
            condition: copies.condition(),
        }];
        writes.extend(gone(self.kind, copies));
        Ok(Planned { writes, row: None, month: None, answer: Value::Null })
    }

    fn live(&self, copies: &Copies) -> Result<Map<String, Value>, AppError> {
        let body = copies.newest().filter(|body| !is_deleted(body)).and_then(Value::as_object).cloned();
        body.ok_or_else(|| AppError::Absent { what: format!("{} {}", self.kind.name(), self.record) })
    }

    /// The record stands under the id afterwards.
    fn stands(&self, body: Value, copies: &Copies) -> Result<Planned, AppError> {
        let key = self.kind.key(self.user.id(), self.record)?;
        let writes = vec![put(self.kind, key, &body, None, None, copies.condition())];
        let row = Some((Row::of(self.record, &body), None));
        Ok(Planned { writes, row, month: None, answer: body })
    }
}

/// When a body was updated, or made: RFC 3339 text, or milliseconds. Without either it is older than any that has one.
pub(crate) fn clock(body: &Value) -> Option<Timestamp> {
    let read = |name: &str| match body.get(name)? {
        Value::String(text) => text.parse().ok(),
        number => Timestamp::from_millisecond(number.as_i64()?).ok(),
    };
    read("updatedAt").or_else(|| read("createdAt"))
}

/// Whether a body is a tombstone.
pub(crate) fn is_deleted(body: &Value) -> bool {
    body.get("deleted").and_then(Value::as_bool).unwrap_or(false)
}

fn put(
    kind: Kind,
    key: Key,
    body: &Value,
    metadata: Option<String>,
    expires_at: Option<UnixSecond>,
    condition: Condition,
) -> Write {
    let change = Change::Put { value: Bytes::from(body.to_string()), metadata, expires_at };
    Write { namespace: kind.namespace(), key, change, condition }
}

/// The copies under names are removed.
fn gone(kind: Kind, copies: &Copies) -> impl Iterator<Item = Write> {
    copies.legacy_keys().map(move |(key, version)| Write {
        namespace: kind.namespace(),
        key: key.clone(),
        change: Change::Delete,
        condition: Condition::Version(version),
    })
}

/// Now, and later than any copy: what was written last must be told by its time.
async fn moment(app: &App, copies: &Copies) -> Result<String, AppError> {
    let now = Timestamp::from_second(app.store().now().await?.0).unwrap_or_default();
    let last = copies.last_updated().and_then(|last| last.as_millisecond().checked_add(1));
    let later = last.and_then(|last| Timestamp::from_millisecond(last).ok());
    Ok(later.map_or(now, |later| later.max(now)).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}

fn extend(body: &mut Map<String, Value>, given: &Map<String, Value>) {
    for (name, value) in given.iter().filter(|(name, _)| !OWN_FIELDS.contains(&name.as_str())) {
        body.insert(name.clone(), value.clone());
    }
}

fn fields<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn text(body: &Map<String, Value>, name: &str) -> String {
    body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn must_be_id(record: &str) -> Result<(), AppError> {
    if record.is_empty() || record.len() > ID_BYTES_MAX || record.chars().any(char::is_control) {
        return Err(AppError::Refused(format!(
            "an id has 1 to {ID_BYTES_MAX} bytes and no control characters"
        )));
    }
    Ok(())
}
