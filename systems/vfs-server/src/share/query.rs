//! Looking at shares, and for whom to share with.

use serde::Serialize;
use tidegate_store::postgres::{Failure, Session, Type};

use super::{ORG_SHARE_PREFIX, Share};
use crate::app::text;
use crate::db::{Trouble, column};
use crate::http::ApiError;

/// Targets that one search finds.
const TARGETS_MAX: i64 = 20;
/// Shares of one item that are listed.
const SHARES_MAX: i64 = 1_000;

/// The shares of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// With users, groups and organizations of the owner's own.
    pub shares: Vec<Share>,
    /// Between organizations.
    pub org_shares: Vec<Share>,
}

/// Somebody whom an item can be shared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Their id.
    pub id: String,
    /// `user`, `group` or `organization`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What they are called.
    pub name: String,
}

/// The active shares of an item, for its owner.
///
/// # Errors
/// [`Trouble`]; 404 and 403 are [`Trouble::Refused`].
pub async fn list(session: &Session, user: &str, item: &str) -> Result<Listed, Trouble> {
    let owner =
        session.query_prepared("SELECT owner_id FROM vfs_registry WHERE id = $1", &[text(&item)]).await?;
    let owner: Option<Option<String>> = owner.first().map(|row| column(row, 0)).transpose()?;
    match owner {
        None => return Err(ApiError::not_found("Item not found").into()),
        Some(owner) if owner.as_deref() != Some(user) => {
            return Err(ApiError::forbidden("Not authorized to view shares for this item").into());
        }
        Some(_) => {}
    }
    let sql = include_str!("sql/list.sql");
    let rows = session.query_prepared(sql, &[text(&item), (&SHARES_MAX, Type::INT8)]).await?;
    let all = rows.iter().map(Share::read).collect::<Result<Vec<Share>, Failure>>()?;
    let (org_shares, shares) = all.into_iter().partition(|share| share.id.starts_with(ORG_SHARE_PREFIX));
    Ok(Listed { shares, org_shares })
}

/// Looks for users, groups and organizations whose name holds a text, in any of the caller's organizations.
///
/// # Errors
/// The database's.
pub async fn search(
    session: &Session,
    user: &str,
    words: &str,
    kind: Option<&str>,
) -> Result<Vec<Target>, Failure> {
    let sql = include_str!("sql/search.sql");
    let rows = session
        .query_prepared(sql, &[text(&user), text(&words), text(&kind), (&TARGETS_MAX, Type::INT8)])
        .await?;
    let read = |row| Ok(Target { kind: column(row, 0)?, id: column(row, 1)?, name: column(row, 2)? });
    rows.iter().map(read).collect()
}
