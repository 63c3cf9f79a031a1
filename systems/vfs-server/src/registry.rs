//! Items, and the public keys of users.

use tidegate_store::postgres::{Failure, Pool, Session, Type};
use vfs_core::Timestamp;

use crate::app::{App, text};
use crate::blob::{self, not_flattened};
use crate::db::{Trouble, column, transact};
use crate::feed::time;

/// Types of objects that may be registered.
pub const OBJECT_TYPES: [&str; 14] = [
    "file",
    "blob",
    "photo",
    "audio",
    "video",
    "contact",
    "note",
    "email",
    "folder",
    "playlist",
    "album",
    "contactGroup",
    "emailFolder",
    "tag",
];

/// An item to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewItem<'a> {
    /// Its id.
    pub id: &'a str,
    /// One of [`OBJECT_TYPES`].
    pub object_type: &'a str,
    /// Its key, encrypted.
    pub encrypted_session_key: &'a str,
    /// Public part of its own key pair.
    pub public_hierarchical_key: Option<&'a str>,
    /// Private part, encrypted.
    pub encrypted_private_hierarchical_key: Option<&'a str>,
    /// What clients know of it, such as its name; at most [`crate::item::METADATA_BYTES_MAX`].
    pub metadata: Option<&'a str>,
}

/// Registers an item. `None`: there is one of that id already.
///
/// # Errors
/// [`Trouble`]; a blob whose object is somebody else's, or nobody's, is [`Trouble::Refused`].
pub async fn register(app: &App, user: &str, item: &NewItem<'_>) -> Result<Option<Timestamp>, Trouble> {
    let NewItem {
        id,
        object_type,
        encrypted_session_key,
        public_hierarchical_key,
        encrypted_private_hierarchical_key,
        metadata,
    } = item;
    // Before the transaction: none is open while the object store is asked.
    let claim = if *object_type == "blob" { blob::Claim::of(app, id).await? } else { None };
    let session = app.pool().get_to_write().await?;
    let session: &Session = &session;
    let registered = transact!(session, "register", "", {
        if let Some(claim) = &claim
            && !claim.take(session, user).await?
        {
            return Ok(None);
        }
        let rows = session
            .query_prepared(
                include_str!("registry/sql/register.sql"),
                &[
                    text(id),
                    text(object_type),
                    text(&user),
                    text(encrypted_session_key),
                    text(public_hierarchical_key),
                    text(encrypted_private_hierarchical_key),
                    text(metadata),
                ],
            )
            .await?;
        let made = rows.first().map(|row| column::<jiff::Timestamp>(row, 0)).transpose()?;
        Ok(made.map(time).transpose()?)
    });
    registered.map_err(not_flattened)
}

/// A user's public key, and since when.
///
/// # Errors
/// The database's.
pub async fn public_key(session: &Session, user: &str) -> Result<Option<(String, Timestamp)>, Failure> {
    let sql = "SELECT public_key, created_at FROM user_keys WHERE user_id = $1";
    let rows = session.query_prepared(sql, &[text(&user)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some((column(row, 0)?, time(column(row, 1)?)?)))
}

/// Keeps a user's public key. `None`: there is one already.
///
/// # Errors
/// [`Trouble`].
pub async fn keep_public_key(pool: &Pool, user: &str, key: &str) -> Result<Option<Timestamp>, Trouble> {
    let sql = "INSERT INTO user_keys (user_id, public_key) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING created_at";
    let session = pool.get_to_write().await?;
    let session: &Session = &session;
    transact!(session, "keys", "", {
        let rows = session.query_prepared(sql, &[text(&user), (&key, Type::TEXT)]).await?;
        let made = rows.first().map(|row| column::<jiff::Timestamp>(row, 0)).transpose()?;
        Ok(made.map(time).transpose()?)
    })
}
