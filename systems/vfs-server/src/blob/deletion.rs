//! `DELETE /v1/vfs/blobs/{id}`: the mark, the object, the row.
//!
//! Two commits with the object's removal between them. A blob with the mark takes no stage and no attachment, so that
//! the row can always go once the object has. Whatever ends between the commits is ended by the same request again.

use std::sync::Arc;

use axum::extract::State;
use serde_json::json;
use tidegate_store::postgres::{Session, Type};

use super::classify::{ObjectCode, ObjectError};
use super::content::blob_id_of;
use super::failed;
use super::key::BlobId;
use super::rows::{self, Mark};
use crate::app::{App, schema_version};
use crate::auth::Caller;
use crate::db::{Trouble, column, transact};
use crate::http::{Answer, ApiError, PathId};

const ATTACHED: &str = "Blob is attached and cannot be deleted";
const FAILED_TO_DELETE: &str = "Failed to delete blob data";

/// How far a deletion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begun {
    /// It has the mark now.
    Now,
    /// It had it: an earlier request did not come to its end.
    Before,
    /// The same user's request was done before.
    Done,
}

/// Deletes a blob.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathId(blob_id): PathId,
) -> Result<Answer, ApiError> {
    let blob_id = blob_id_of(&blob_id)?;
    let user = caller.user_id();
    let told = |error: &ObjectError| failed("delete", &blob_id, error, FAILED_TO_DELETE);
    let store = app.blobs();
    // Without a store nothing is begun; but what the registry refuses is refused first.
    let refusal = store.as_ref().err().map(&told);
    let begun = in_beginning(&app, &blob_id, user, refusal.as_ref());
    let begun = begun.await.map_err(|trouble| trouble.or(FAILED_TO_DELETE))?;
    if begun != Begun::Done {
        let deleted = match &store {
            Ok(store) => store.delete(&blob_id).await,
            Err(error) => Err(error.clone()),
        };
        match deleted {
            Ok(()) => {}
            // Of a deletion that was interrupted the object may be gone: that is what it is for.
            Err(error) if begun == Begun::Before && error.code == ObjectCode::NoSuchKey => {}
            Err(error) => return Err(told(&error)),
        }
        let finished = in_ending(&app, &blob_id, user);
        finished.await.map_err(|trouble| trouble.or(FAILED_TO_DELETE))?;
    }
    Ok(Answer::ok(json!({ "deleted": true, "blobId": blob_id.as_str() })))
}

async fn in_beginning(
    app: &App,
    blob_id: &BlobId,
    user: &str,
    refusal: Option<&ApiError>,
) -> Result<Begun, Trouble> {
    let session = app.pool().get_to_write().await?;
    let session: &Session = &session;
    transact!(session, "blob_delete_begin", "", { begin(session, blob_id, user, refusal).await })
}

async fn in_ending(app: &App, blob_id: &BlobId, user: &str) -> Result<(), Trouble> {
    let session = app.pool().get_to_write().await?;
    let session: &Session = &session;
    transact!(session, "blob_delete_finish", "", { finish(session, blob_id, Some(user)).await })
}

async fn begin(
    session: &Session,
    blob_id: &BlobId,
    user: &str,
    refusal: Option<&ApiError>,
) -> Result<Begun, Trouble> {
    let items = rows::lock_items(session, &[blob_id.as_str()]).await?;
    let mark = rows::find_mark(session, blob_id).await?;
    let Some(item) = items.first() else {
        return match mark {
            Some((Mark::Deleted, owner)) if owner.as_deref() == Some(user) => Ok(Begun::Done),
            _ => Err(rows::no_blob(session).await),
        };
    };
    item.must_be_blob_of(user)?;
    // What it is attached to need not stand in the links yet.
    if schema_version(session).await? < rows::FLATTENED {
        return Err(rows::being_migrated().into());
    }
    if is_attached(session, blob_id).await? {
        return Err(ApiError::conflict(ATTACHED).into());
    }
    if let Some(refusal) = refusal {
        return Err(refusal.clone().into());
    }
    if let Some((Mark::Deleting, _)) = mark {
        return Ok(Begun::Before);
    }
    rows::set_mark(session, blob_id, Mark::Deleting, Some(user)).await?;
    Ok(Begun::Now)
}

/// Whether an item has the blob.
pub(super) async fn is_attached(session: &Session, blob_id: &BlobId) -> Result<bool, Trouble> {
    let sql = "SELECT EXISTS (SELECT FROM vfs_links WHERE child_id = $1 AND wrapped_session_key LIKE 'blob-link:%')";
    let rows = session.query_prepared(sql, &[(&blob_id.as_str(), Type::TEXT)]).await?;
    Ok(rows.first().map_or(Ok(false), |row| column(row, 0))?)
}

/// Takes the row away, with the stages of the blob, and remembers that it is deleted. Does nothing where another
/// request has done it.
pub(super) async fn finish(session: &Session, blob_id: &BlobId, owner: Option<&str>) -> Result<(), Trouble> {
    let stages = session
        .query_prepared(include_str!("sql/stages_of_blob.sql"), &[(&blob_id.as_str(), Type::TEXT)])
        .await?;
    let mut ids = vec![blob_id.to_string()];
    for row in &stages {
        ids.push(column(row, 0)?);
    }
    let wanted: Vec<&str> = ids.iter().map(String::as_str).collect();
    rows::lock_items(session, &wanted).await?;
    // A stage that began before the mark may have come between: without the mark it would still be there.
    if !matches!(rows::find_mark(session, blob_id).await?, Some((Mark::Deleting, _))) {
        return Ok(());
    }
    rows::set_mark(session, blob_id, Mark::Deleted, owner).await?;
    session
        .execute_prepared("DELETE FROM vfs_registry WHERE id = ANY ($1)", &[(&wanted, Type::TEXT_ARRAY)])
        .await?;
    Ok(())
}
