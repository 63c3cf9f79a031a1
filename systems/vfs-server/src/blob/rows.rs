//! The rows of blobs and stages, as the routes read and write them.

use std::time::Duration;

use jiff::Timestamp as Instant;
use serde_json::Value as Json;
use tidegate_store::postgres::{Failure, Session, Type};
use vfs_core::Timestamp;

use super::key::BlobId;
use crate::app::schema_version;
use crate::db::{Trouble, column};
use crate::http::ApiError;

/// The first version at which every stage stands in the registry.
pub(super) const FLATTENED: i32 = 24;
/// Seconds after which somebody may ask again for what is being migrated.
const MIGRATION_RETRY_S: u64 = 5;

/// What the database says of an id that stands in the legacy tables only.
const NOT_FLATTENED: &str = "VF023";

/// Answers that several routes give.
pub(super) const BLOB_NOT_FOUND: &str = "Blob object not found";
pub(super) const STAGE_NOT_FOUND: &str = "Blob staging not found";
pub(super) const ID_CONFLICT: &str = "Blob object id conflicts with existing VFS object";
pub(super) const FORBIDDEN: &str = "Forbidden";
pub(super) const BEING_DELETED: &str = "Blob is being deleted";

/// An item of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) object_type: String,
    pub(super) owner_id: Option<String>,
}

impl Item {
    pub(super) fn is_owned_by(&self, user: &str) -> bool {
        self.owner_id.as_deref() == Some(user)
    }

    /// Whether it is a blob of the user's; the refusal in the order of the routes.
    pub(super) fn must_be_blob_of(&self, user: &str) -> Result<(), ApiError> {
        if self.object_type != "blob" {
            return Err(ApiError::conflict(ID_CONFLICT));
        }
        if !self.is_owned_by(user) {
            return Err(ApiError::forbidden(FORBIDDEN));
        }
        Ok(())
    }
}

/// A stage: its row with its link to itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StageRow {
    pub(super) blob_id: String,
    pub(super) owner_id: Option<String>,
    pub(super) tag: String,
    pub(super) meta: Option<Json>,
    pub(super) created_at: Timestamp,
}

impl StageRow {
    /// A text of its metadata.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.meta.as_ref()?.get(name)?.as_str()
    }

    /// A time of its metadata.
    pub(super) fn time(&self, name: &str) -> Option<Timestamp> {
        self.text(name)?.parse().ok()
    }
}

/// What is under way with a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Storing,
    Deleting,
    Deleted,
}

impl Mark {
    pub(super) fn word(self) -> &'static str {
        match self {
            Mark::Storing => "storing",
            Mark::Deleting => "deleting",
            Mark::Deleted => "deleted",
        }
    }
}

/// Now, in whole milliseconds.
pub(super) fn now() -> Result<Timestamp, Trouble> {
    time(Instant::now())
}

fn time(instant: Instant) -> Result<Timestamp, Trouble> {
    Timestamp::try_from(instant).map_err(|error| Trouble::Broken(error.to_string()))
}

/// Locks those of the items that are there, in the order of their ids.
pub(super) async fn lock_items(session: &Session, ids: &[&str]) -> Result<Vec<Item>, Trouble> {
    let rows =
        session.query_prepared(include_str!("sql/lock_items.sql"), &[(&ids, Type::TEXT_ARRAY)]).await?;
    rows.iter().map(item).collect::<Result<_, _>>().map_err(Trouble::from)
}

/// An item, without a lock.
pub(super) async fn find_item(session: &Session, id: &str) -> Result<Option<Item>, Trouble> {
    let sql = "SELECT id, object_type, owner_id FROM vfs_registry WHERE id = $1";
    let rows = session.query_prepared(sql, &[(&id, Type::TEXT)]).await?;
    rows.first().map(item).transpose().map_err(Trouble::from)
}

fn item(row: &tidegate_store::postgres::Row) -> Result<Item, Failure> {
    Ok(Item { id: column(row, 0)?, object_type: column(row, 1)?, owner_id: column(row, 2)? })
}

/// A stage; whoever needs it to stay has locked its item.
pub(super) async fn find_stage(session: &Session, id: &str) -> Result<Option<StageRow>, Trouble> {
    let rows = session.query_prepared(include_str!("sql/stage_of.sql"), &[(&id, Type::TEXT)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(StageRow {
        blob_id: column(row, 0)?,
        owner_id: column(row, 1)?,
        tag: column(row, 2)?,
        meta: column(row, 3)?,
        created_at: time(column(row, 4)?)?,
    }))
}

/// What is said of a stage that is not there: that it is not, or, before stages stand in the registry, that it is not
/// known yet.
pub(super) async fn no_stage(session: &Session) -> Trouble {
    missing(session, STAGE_NOT_FOUND).await
}

/// As [`no_stage`], of a blob.
pub(super) async fn no_blob(session: &Session) -> Trouble {
    missing(session, BLOB_NOT_FOUND).await
}

/// What is said of ids that are not flattened yet, whosever they are.
pub(super) fn being_migrated() -> ApiError {
    ApiError::unavailable("Blob staging is being migrated", MIGRATION_RETRY_S)
}

/// The refusal of an id that stands in the legacy tables only, told as what it is.
pub(crate) fn not_flattened(trouble: Trouble) -> Trouble {
    if trouble.sqlstate() == Some(NOT_FLATTENED) { being_migrated().into() } else { trouble }
}

async fn missing(session: &Session, text: &'static str) -> Trouble {
    match schema_version(session).await {
        Ok(version) if version < FLATTENED => being_migrated().into(),
        Ok(_) => ApiError::not_found(text).into(),
        Err(failure) => failure.into(),
    }
}

/// Writes an item, unless its id is taken. Returns whether it did.
pub(super) async fn insert_item(
    session: &Session,
    id: &str,
    object_type: &str,
    owner: &str,
    at: Timestamp,
) -> Result<bool, Trouble> {
    let at = Instant::from(at);
    let parameters: [(&(dyn tidegate_store::postgres::ToSql + Sync), Type); 4] =
        [(&id, Type::TEXT), (&object_type, Type::TEXT), (&owner, Type::TEXT), (&at, Type::TIMESTAMPTZ)];
    let inserted = session.execute_prepared(include_str!("sql/insert_item.sql"), &parameters).await;
    Ok(inserted.map_err(|failure| not_flattened(failure.into()))? == 1)
}

/// Ends a stage that is still staged: its tag, and what is added to its metadata. Returns whether it was.
pub(super) async fn end_stage(session: &Session, id: &str, tag: &str, added: &Json) -> Result<bool, Trouble> {
    let sql = include_str!("sql/end_stage.sql");
    let parameters: [(&(dyn tidegate_store::postgres::ToSql + Sync), Type); 3] =
        [(&id, Type::TEXT), (&tag, Type::TEXT), (added, Type::JSONB)];
    Ok(session.execute_prepared(sql, &parameters).await? == 1)
}

/// What is under way with a blob, and for whom.
pub(super) async fn find_mark(
    session: &Session,
    id: &BlobId,
) -> Result<Option<(Mark, Option<String>)>, Trouble> {
    let sql = "SELECT mark, owner_id FROM vfs_blob_marks WHERE blob_id = $1";
    let rows = session.query_prepared(sql, &[(&id.as_str(), Type::TEXT)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let word: String = column(row, 0)?;
    let mark = [Mark::Storing, Mark::Deleting, Mark::Deleted].into_iter().find(|mark| mark.word() == word);
    let mark = mark.ok_or_else(|| Trouble::Broken(format!("vfs_blob_marks knows a mark {word:?}")))?;
    Ok(Some((mark, column(row, 1)?)))
}

/// Sets the mark of a blob.
pub(super) async fn set_mark(
    session: &Session,
    id: &BlobId,
    mark: Mark,
    owner: Option<&str>,
) -> Result<(), Trouble> {
    let sql = include_str!("sql/mark.sql");
    let parameters: [(&(dyn tidegate_store::postgres::ToSql + Sync), Type); 3] =
        [(&id.as_str(), Type::TEXT), (&mark.word(), Type::TEXT), (&owner, Type::TEXT)];
    session.execute_prepared(sql, &parameters).await?;
    Ok(())
}

/// Takes the mark of a blob away.
pub(super) async fn clear_mark(session: &Session, id: &BlobId) -> Result<(), Trouble> {
    session
        .execute_prepared("DELETE FROM vfs_blob_marks WHERE blob_id = $1", &[(&id.as_str(), Type::TEXT)])
        .await?;
    Ok(())
}

/// Lets go of a reservation of the user's. Returns whether there was one.
pub(super) async fn release(session: &Session, id: &BlobId, user: &str) -> Result<bool, Trouble> {
    let sql = "DELETE FROM vfs_blob_marks WHERE blob_id = $1 AND mark = 'storing' AND owner_id = $2";
    let parameters: [(&(dyn tidegate_store::postgres::ToSql + Sync), Type); 2] =
        [(&id.as_str(), Type::TEXT), (&user, Type::TEXT)];
    Ok(session.execute_prepared(sql, &parameters).await? == 1)
}

/// Reserves the id of a blob that is not registered yet, so that nobody else's object gets its key. Returns whether it
/// is the user's now. An id that was deleted rests for a time first: a deletion that was asked for twice, or tried again,
/// must not meet a new object.
pub(super) async fn reserve(
    session: &Session,
    id: &BlobId,
    user: &str,
    rest: Duration,
) -> Result<bool, Trouble> {
    let sql = include_str!("sql/reserve.sql");
    let parameters: [(&(dyn tidegate_store::postgres::ToSql + Sync), Type); 3] =
        [(&id.as_str(), Type::TEXT), (&user, Type::TEXT), (&rest.as_secs_f64(), Type::FLOAT8)];
    let reserved = session.execute_prepared(sql, &parameters).await;
    Ok(reserved.map_err(|failure| not_flattened(failure.into()))? == 1)
}
