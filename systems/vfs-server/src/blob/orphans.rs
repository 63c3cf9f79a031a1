//! Orphans of both kinds: metadata without an object, objects without metadata; and deletions that were interrupted.
//!
//! The store's listing goes into a temporary table, so that neither side has to fit into memory or to come in any order.
//! What is younger than the grace period is left alone: it may be on its way. Before anything is removed it is looked at
//! once more, under the blob's mark, behind which no stage and no upload begins.

use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp as Instant;
use serde::Serialize;
use tidegate_store::postgres::{Failure, Session, ToSql, Type};

use super::classify::{ObjectCode, ObjectError};
use super::deletion::{finish, is_attached};
use super::key::BlobId;
use super::rows::{self, Mark};
use super::store::BlobStore;
use crate::app::schema_version;
use crate::db::{Trouble, column, transact};

/// Orphans of one kind that a report lists, and that one run removes.
pub const LISTED_MAX: i64 = 10_000;
/// Objects that are noted at a time.
const CHUNK: usize = 1_000;
/// The first version at which every blob stands in the registry.
const FLATTENED: i32 = 24;
/// How old something must be, unless somebody says otherwise.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(24 * 3_600);

/// Why orphans cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum OrphanError {
    /// Blobs that stand only in legacy tables would look like orphans.
    #[error(
        "the schema is at version {0}: before version 24 blobs stand in legacy tables, and would look like orphans"
    )]
    NotFlattened(i32),
    /// The object store.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The database.
    #[error(transparent)]
    Database(#[from] Trouble),
}

impl From<Failure> for OrphanError {
    fn from(failure: Failure) -> OrphanError {
        OrphanError::Database(failure.into())
    }
}

/// Which orphans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OrphanKind {
    /// A row without an object: reading the blob answers 500, `NoSuchKey` in the log.
    Metadata,
    /// An object without a row: nobody can read it, and it costs.
    Object,
    /// A deletion that has begun and not ended.
    Deleting,
}

impl OrphanKind {
    /// The word of it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            OrphanKind::Metadata => "metadata",
            OrphanKind::Object => "object",
            OrphanKind::Deleting => "deleting",
        }
    }
}

/// One orphan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// The blob.
    pub blob_id: String,
    /// Since when: the row's time, the object's, or the mark's.
    pub since: String,
    /// The owner. Of an object: unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<String>,
    /// Bytes of an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<i64>,
    /// Items that have the blob of a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attached_to: Option<i64>,
}

/// All orphans, at most [`LISTED_MAX`] of each kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrphanReport {
    /// Where the objects are.
    pub place: String,
    /// Seconds below which something is left alone.
    pub grace_s: u64,
    /// Objects that the store listed.
    pub objects_listed: u64,
    /// Rows without an object.
    pub metadata_without_object: Vec<Orphan>,
    /// Objects without a row.
    pub objects_without_metadata: Vec<Orphan>,
    /// Deletions that have begun and not ended.
    pub unfinished_deletions: Vec<Orphan>,
}

impl OrphanReport {
    /// Those of one kind.
    #[must_use]
    pub fn of(&self, kind: OrphanKind) -> &[Orphan] {
        match kind {
            OrphanKind::Metadata => &self.metadata_without_object,
            OrphanKind::Object => &self.objects_without_metadata,
            OrphanKind::Deleting => &self.unfinished_deletions,
        }
    }
}

/// Finds orphans. The session must be the caller's own: it gets a temporary table.
///
/// # Errors
/// [`OrphanError`].
pub async fn find(
    session: &Session,
    store: &BlobStore,
    grace: Duration,
) -> Result<OrphanReport, OrphanError> {
    let version = schema_version(session).await?;
    if version < FLATTENED {
        return Err(OrphanError::NotFlattened(version));
    }
    session.run("DROP TABLE IF EXISTS pg_temp.blob_listing").await?;
    session.run(include_str!("sql/listing_table.sql")).await?;
    let objects_listed = note_objects(session, store).await?;
    session.run("ANALYZE blob_listing").await?;
    let grace_s = grace.as_secs_f64();
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&grace_s, Type::FLOAT8), (&LISTED_MAX, Type::INT8)];
    let mut metadata = Vec::new();
    for row in session.query(include_str!("sql/orphan_metadata.sql"), &parameters).await? {
        metadata.push(Orphan {
            blob_id: column(&row, 0)?,
            owner_id: column(&row, 1)?,
            since: column::<Instant>(&row, 2)?.to_string(),
            size_bytes: None,
            attached_to: Some(column(&row, 3)?),
        });
    }
    let mut objects = Vec::new();
    for row in session.query(include_str!("sql/orphan_objects.sql"), &parameters).await? {
        objects.push(Orphan {
            blob_id: column(&row, 0)?,
            size_bytes: Some(column(&row, 1)?),
            since: column::<Instant>(&row, 2)?.to_string(),
            owner_id: None,
            attached_to: None,
        });
    }
    let mut unfinished = Vec::new();
    for row in session.query(include_str!("sql/unfinished_deletions.sql"), &parameters).await? {
        unfinished.push(Orphan {
            blob_id: column(&row, 0)?,
            owner_id: column(&row, 1)?,
            since: column::<Instant>(&row, 2)?.to_string(),
            size_bytes: None,
            attached_to: None,
        });
    }
    Ok(OrphanReport {
        place: store.config().place(),
        grace_s: grace.as_secs(),
        objects_listed,
        metadata_without_object: metadata,
        objects_without_metadata: objects,
        unfinished_deletions: unfinished,
    })
}

/// Writes the store's listing into the temporary table. Returns how many objects there are.
async fn note_objects(session: &Session, store: &BlobStore) -> Result<u64, OrphanError> {
    let mut chunks = store.list().chunks(CHUNK);
    let mut count = 0;
    while let Some(chunk) = chunks.next().await {
        let (mut ids, mut sizes, mut times) = (Vec::new(), Vec::new(), Vec::new());
        for listed in chunk {
            let (id, meta) = listed?;
            ids.push(id.to_string());
            sizes.push(i64::try_from(meta.size_bytes).unwrap_or(i64::MAX));
            times.push(meta.modified_at_s);
        }
        count += ids.len() as u64;
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&ids, Type::TEXT_ARRAY), (&sizes, Type::INT8_ARRAY), (&times, Type::INT8_ARRAY)];
        session.execute(include_str!("sql/listing_add.sql"), &parameters).await?;
    }
    Ok(count)
}

/// Who removes what, and why.
#[derive(Debug, Clone)]
pub struct Removal<'a> {
    /// Which orphans.
    pub kind: OrphanKind,
    /// Who, as they name themselves.
    pub actor: &'a str,
    /// Why, as they put it.
    pub reason: &'a str,
    /// What is younger is left alone.
    pub grace: Duration,
    /// Whether rows go that items have: the items lose them.
    pub include_attached: bool,
}

/// What became of one orphan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Removed {
    /// The blob.
    pub blob_id: String,
    /// Whether it was removed.
    pub removed: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<&'static str>,
}

/// Removes one orphan, after looking at it once more.
///
/// # Errors
/// [`OrphanError`]. What was begun is then an unfinished deletion, which the next report lists.
pub async fn remove(
    session: &Session,
    store: &BlobStore,
    removal: &Removal<'_>,
    orphan: &Orphan,
) -> Result<Removed, OrphanError> {
    let told = |why_not: Option<&'static str>| Removed {
        blob_id: orphan.blob_id.clone(),
        removed: why_not.is_none(),
        why_not,
    };
    let Ok(id) = BlobId::parse(&orphan.blob_id) else { return Ok(told(Some("its id is none"))) };
    let begun = transact!(session, "blob_orphan_begin", "", { begin(session, removal, &id).await })?;
    if begun.is_some() {
        return Ok(told(begun));
    }
    if removal.kind == OrphanKind::Metadata && store.head(&id).await?.is_some() {
        transact!(session, "blob_orphan_leave", "", { rows::clear_mark(session, &id).await })?;
        return Ok(told(Some("its object is there")));
    }
    if removal.kind != OrphanKind::Metadata {
        match store.delete(&id).await {
            Ok(()) => {}
            Err(error) if error.code == ObjectCode::NoSuchKey => {}
            Err(error) => return Err(error.into()),
        }
    }
    transact!(session, "blob_orphan_end", "", { end(session, removal, &id).await })?;
    Ok(told(None))
}

/// Marks it, if it still is what it was listed as. Returns why not.
async fn begin(
    session: &Session,
    removal: &Removal<'_>,
    id: &BlobId,
) -> Result<Option<&'static str>, Trouble> {
    let items = rows::lock_items(session, &[id.as_str()]).await?;
    let row = items.first().filter(|item| item.object_type == "blob");
    let mark = rows::find_mark(session, id).await?;
    let is_deleting = matches!(mark, Some((Mark::Deleting, _)));
    match removal.kind {
        OrphanKind::Deleting if is_deleting => return Ok(None),
        OrphanKind::Deleting => return Ok(Some("its deletion has ended")),
        _ if is_deleting => return Ok(Some("it is being deleted")),
        OrphanKind::Metadata => {
            let Some(row) = row else { return Ok(Some("its row is gone")) };
            if !removal.include_attached && is_attached(session, id).await? {
                return Ok(Some("an item has it; --include-attached takes it from the item"));
            }
            rows::set_mark(session, id, Mark::Deleting, row.owner_id.as_deref()).await?;
        }
        OrphanKind::Object => {
            if !mark_orphan(session, id, removal.grace).await? {
                return Ok(Some("it is being written"));
            }
            // Behind the mark nobody registers it any more; whoever has done so since it was listed is seen now.
            let item = rows::find_item(session, id.as_str()).await?;
            if item.is_some_and(|item| item.object_type == "blob") {
                rows::clear_mark(session, id).await?;
                return Ok(Some("it has a row"));
            }
        }
    }
    Ok(None)
}

/// Marks an object without a row, unless it is being written: a reservation that is younger than the grace period.
async fn mark_orphan(session: &Session, id: &BlobId, grace: Duration) -> Result<bool, Trouble> {
    let parameters: [(&(dyn ToSql + Sync), Type); 2] =
        [(&id.as_str(), Type::TEXT), (&grace.as_secs_f64(), Type::FLOAT8)];
    Ok(session.execute(include_str!("sql/mark_orphan.sql"), &parameters).await? == 1)
}

/// Takes row and mark away, and notes who did it.
async fn end(session: &Session, removal: &Removal<'_>, id: &BlobId) -> Result<(), Trouble> {
    let parameters: [(&(dyn ToSql + Sync), Type); 4] = [
        (&id.as_str(), Type::TEXT),
        (&removal.kind.word(), Type::TEXT),
        (&removal.actor, Type::TEXT),
        (&removal.reason, Type::TEXT),
    ];
    session.execute(include_str!("sql/note_removal.sql"), &parameters).await?;
    match rows::find_mark(session, id).await? {
        Some((Mark::Deleting, Some(owner))) => finish(session, id, Some(&owner)).await,
        Some((Mark::Deleting, None)) => rows::set_mark(session, id, Mark::Deleted, None).await,
        _ => Ok(()),
    }
}
