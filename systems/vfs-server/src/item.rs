//! Items as clients look at them: what they are, what is attached to them, and what clients know of them.

use serde::Serialize;
use tidegate_store::postgres::{Failure, Pool, Session, Type};
use vfs_core::{AccessLevel, Timestamp};

use crate::app::text;
use crate::db::{Trouble, column, transact};
use crate::feed::time;
use crate::http::ApiError;

/// Items of one look-up.
pub const LOOKUP_ITEMS_MAX: usize = 500;
/// Attachments that one look-up tells of.
const ATTACHMENTS_MAX: i64 = 10_000;
/// Bytes of what clients know of an item.
pub const METADATA_BYTES_MAX: usize = 16 << 10;

/// An item that the caller sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Its id.
    pub id: String,
    /// What it is.
    pub object_type: String,
    /// Whose it is; `None`: nobody's.
    pub owner_id: Option<String>,
    /// What the caller may do with it.
    pub access_level: AccessLevel,
    /// What clients know of it; `None`: nothing.
    pub metadata: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The blobs that are attached to it, the newest first.
    pub attachments: Vec<Attachment>,
}

/// A blob that is attached to an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// The blob.
    pub blob_id: String,
    /// As what.
    pub relation_kind: String,
    /// When.
    pub attached_at: Timestamp,
}

/// Those of the items that the caller sees, by the bytes of their ids.
///
/// # Errors
/// [`Trouble`].
pub async fn lookup(session: &Session, user: &str, ids: &[&str]) -> Result<Vec<Item>, Trouble> {
    let sql = include_str!("item/sql/lookup.sql");
    let rows = session.query_prepared(sql, &[text(&user), (&ids, Type::TEXT_ARRAY)]).await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in &rows {
        let level: &str = column(row, 5)?;
        items.push(Item {
            id: column(row, 0)?,
            object_type: column(row, 1)?,
            owner_id: column(row, 2)?,
            access_level: AccessLevel::parse(level)
                .ok_or_else(|| Trouble::Broken(format!("no access level is {level}")))?,
            metadata: column(row, 3)?,
            created_at: time(column(row, 4)?)?,
            attachments: Vec::new(),
        });
    }
    attach(session, &mut items).await?;
    Ok(items)
}

async fn attach(session: &Session, items: &mut [Item]) -> Result<(), Failure> {
    let ids: Vec<&str> = items.iter().map(|item| item.id.as_str()).collect();
    let parameters: [(&(dyn tidegate_store::postgres::ToSql + Sync), Type); 2] =
        [(&ids, Type::TEXT_ARRAY), (&ATTACHMENTS_MAX, Type::INT8)];
    let rows = session.query_prepared(include_str!("item/sql/attachments.sql"), &parameters).await?;
    for row in &rows {
        let item_id: &str = column(row, 0)?;
        let attachment = Attachment {
            blob_id: column(row, 1)?,
            relation_kind: column(row, 2)?,
            attached_at: time(column(row, 3)?)?,
        };
        if let Some(item) = items.iter_mut().find(|item| item.id == item_id) {
            item.attachments.push(attachment);
        }
    }
    Ok(())
}

/// Refuses a blob that is not attached to an item which the caller sees.
///
/// # Errors
/// [`Trouble`]; 404 is [`Trouble::Refused`].
pub async fn must_show_blob(session: &Session, user: &str, item: &str, blob: &str) -> Result<(), Trouble> {
    if lookup(session, user, &[item]).await?.is_empty() {
        return Err(ApiError::not_found("Item not found").into());
    }
    let sql = "SELECT FROM vfs_links WHERE parent_id = $1 AND child_id = $2 \
               AND starts_with(wrapped_session_key, 'blob-link:')";
    if session.query_prepared(sql, &[text(&item), text(&blob)]).await?.is_empty() {
        return Err(ApiError::not_found("Blob object not found").into());
    }
    Ok(())
}

/// Keeps what clients know of an item; `None`: nothing. Whoever may write it may. An identical repeat changes nothing
/// and tells nobody.
///
/// # Errors
/// [`Trouble`]; 404 and 403 are [`Trouble::Refused`].
pub async fn set_metadata(
    pool: &Pool,
    user: &str,
    item: &str,
    metadata: Option<&str>,
) -> Result<(), Trouble> {
    let session = pool.get_to_write().await?;
    let session: &Session = &session;
    transact!(session, "metadata", "", {
        let lock = "SELECT FROM vfs_registry WHERE id = $1 FOR UPDATE";
        session.query_prepared(lock, &[text(&item)]).await?;
        match lookup(session, user, &[item]).await?.first().map(|item| item.access_level) {
            None => return Err(ApiError::not_found("Item not found").into()),
            Some(AccessLevel::Read) => return Err(ApiError::forbidden("Forbidden").into()),
            Some(AccessLevel::Write | AccessLevel::Admin) => {}
        }
        let sql = "UPDATE vfs_registry SET metadata = $2 WHERE id = $1 AND metadata IS DISTINCT FROM $2";
        session.execute_prepared(sql, &[text(&item), text(&metadata)]).await?;
        Ok(())
    })
}
