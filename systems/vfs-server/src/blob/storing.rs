//! Getting an object under its key: who may, before it is written; the blob's row, after it is.
//!
//! No transaction is open while the object is written. The first one examines and reserves, the second one registers.

use std::time::Duration;

use tidegate_store::postgres::Session;
use vfs_core::Timestamp;

use super::config::Patience;
use super::key::BlobId;
use super::rows::{self, BEING_DELETED, ID_CONFLICT, Item, Mark};
use crate::app::App;
use crate::db::{Trouble, transact};
use crate::http::ApiError;

/// Whether the user may write the blob's object: the blob is the user's, or the id is free and is now reserved.
pub(super) async fn admit(
    session: &Session,
    id: &BlobId,
    user: &str,
    patience: &Patience,
) -> Result<(), Trouble> {
    let items = rows::lock_items(session, &[id.as_str()]).await?;
    match items.first() {
        Some(item) => may_write(session, item, id, user).await,
        None => reserve(session, id, user, patience).await,
    }
}

/// Reserves an id that had no row a moment ago.
async fn reserve(session: &Session, id: &BlobId, user: &str, patience: &Patience) -> Result<(), Trouble> {
    if !rows::reserve(session, id, user, patience.deadline).await? {
        let text = match rows::find_mark(session, id).await? {
            Some((Mark::Deleting | Mark::Deleted, _)) => BEING_DELETED,
            _ => ID_CONFLICT,
        };
        return Err(ApiError::conflict(text).into());
    }
    // Whoever had reserved it before may have registered it and let go of it since the first look. From here on nobody
    // can: the mark is ours.
    let Some(item) = rows::find_item(session, id.as_str()).await? else { return Ok(()) };
    rows::release(session, id, user).await?;
    may_write(session, &item, id, user).await
}

/// Whether a blob that is registered may be written or staged by the user.
pub(super) async fn may_write(
    session: &Session,
    item: &Item,
    id: &BlobId,
    user: &str,
) -> Result<(), Trouble> {
    item.must_be_blob_of(user)?;
    must_stay(session, id).await
}

/// Refuses what must not happen to a blob that is being deleted.
pub(super) async fn must_stay(session: &Session, id: &BlobId) -> Result<(), Trouble> {
    match rows::find_mark(session, id).await? {
        Some((Mark::Deleting, _)) => Err(ApiError::conflict(BEING_DELETED).into()),
        _ => Ok(()),
    }
}

/// Registers a blob whose object is there, if it is not registered yet. Its items are locked.
pub(super) async fn register(
    session: &Session,
    id: &BlobId,
    user: &str,
    at: Timestamp,
) -> Result<(), Trouble> {
    // The mark first: the row takes a position of the feeds, and no row is locked after that.
    let was_reserved = rows::release(session, id, user).await?;
    if rows::insert_item(session, id.as_str(), "blob", user, at).await? {
        // Without the reservation the object that is there now need not be the one that was written.
        return if was_reserved { Ok(()) } else { Err(ApiError::conflict(BEING_DELETED).into()) };
    }
    // Somebody registered the id meanwhile, who may be the user.
    let item = rows::find_item(session, id.as_str()).await?;
    item.ok_or_else(|| ApiError::conflict(ID_CONFLICT))?.must_be_blob_of(user)?;
    Ok(())
}

/// Takes an object away that was written for a user and got no row, so that nobody has it by the id later on. What goes
/// wrong is logged: the object is then one of the orphans.
pub(super) async fn give_up(app: &App, id: &BlobId, user: &str) {
    let given_up = async {
        let Ok(store) = app.blobs() else { return Ok(()) };
        let session = app.pool().get_to_write().await?;
        let Some(before) = transact!(&session, "blob_give_up", "", { claim_rest(&session, id, user).await })?
        else {
            return Ok(());
        };
        drop(session);
        // Where it cannot be deleted, the mark stays, too, and keeps others from the id.
        store.delete(id).await.map_err(|error| Trouble::Broken(error.to_string()))?;
        let session = app.pool().get_to_write().await?;
        transact!(&session, "blob_given_up", "", {
            match before {
                Before::Deleted => rows::set_mark(&session, id, Mark::Deleted, Some(user)).await,
                Before::Free => rows::release(&session, id, user).await.map(|_| ()),
            }
        })
    };
    let given_up: Result<(), Trouble> = given_up.await;
    if let Err(trouble) = given_up {
        tracing::warn!(blob = %id, error = %trouble, "an object without a row stays in the object store");
    }
}

/// How an id stood when it was reserved for taking away what lies there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// It was deleted.
    Deleted,
    /// It was not known, or reserved for the user already.
    Free,
}

/// Reserves an id whose object is to go. `None`: the object is that of a blob, or somebody else has to do with it.
async fn claim_rest(session: &Session, id: &BlobId, user: &str) -> Result<Option<Before>, Trouble> {
    let items = rows::lock_items(session, &[id.as_str()]).await?;
    if items.first().is_some_and(|item| item.object_type == "blob") {
        return Ok(None);
    }
    let mark = rows::find_mark(session, id).await?;
    if !rows::reserve(session, id, user, Duration::ZERO).await? {
        return Ok(None);
    }
    Ok(Some(match mark {
        Some((Mark::Deleted, _)) => Before::Deleted,
        _ => Before::Free,
    }))
}
