//! The id of a blob that is registered before its object is there.
//!
//! Whoever has the row has the object of its key. So the row is not given while somebody writes that object, nor where
//! an object lies that no row leads to: it is whoever's wrote it.

use std::time::Duration;

use tidegate_store::postgres::Session;

use super::failed;
use super::key::BlobId;
use super::rows::{self, BEING_DELETED, ID_CONFLICT, Mark};
use crate::app::App;
use crate::db::Trouble;
use crate::http::ApiError;

const FAILED_TO_REGISTER: &str = "Failed to register VFS item";

/// What was found in the object store under an id that somebody wants to register.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    id: BlobId,
    has_object: bool,
}

impl Claim {
    /// Looks for an object of the id. `None`: no object can have it.
    ///
    /// # Errors
    /// When the object store does not say: [`Trouble::Refused`].
    pub(crate) async fn of(app: &App, id: &str) -> Result<Option<Claim>, Trouble> {
        let Some(id) = BlobId::parse(id).ok().filter(|parsed| parsed.as_str() == id) else { return Ok(None) };
        // Without a store nothing can be read either.
        let Ok(store) = app.blobs() else { return Ok(Some(Claim { id, has_object: false })) };
        let found = store.head(&id).await.map_err(|error| failed("head", &id, &error, FAILED_TO_REGISTER))?;
        Ok(Some(Claim { has_object: found.is_some(), id }))
    }

    /// Takes the id for a user, in the transaction that registers it. `false`: there is an item of it already.
    ///
    /// # Locks
    /// The blob's mark, so that nobody begins to write the object meanwhile.
    ///
    /// # Errors
    /// [`Trouble`]; an object that may be somebody else's is [`Trouble::Refused`].
    pub(crate) async fn take(&self, session: &Session, user: &str) -> Result<bool, Trouble> {
        if rows::find_item(session, self.id.as_str()).await?.is_some() {
            return Ok(false);
        }
        if self.has_object {
            return Err(ApiError::conflict(ID_CONFLICT).into());
        }
        // Whoever reserves it waits for the end of this transaction, and then finds the item.
        if !rows::reserve(session, &self.id, user, Duration::ZERO).await? {
            let text = match rows::find_mark(session, &self.id).await? {
                Some((Mark::Deleting, _)) => BEING_DELETED,
                _ => ID_CONFLICT,
            };
            return Err(ApiError::conflict(text).into());
        }
        rows::release(session, &self.id, user).await?;
        Ok(true)
    }
}
