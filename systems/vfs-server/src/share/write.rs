//! Sharing, changing and taking back. What changes in the entries reaches the feeds in the same transaction.

use tidegate_store::postgres::{Pool, Session, Type};
use uuid::Uuid;
use vfs_core::PrincipalType;

use super::{NewShare, ORG_SHARE_PREFIX, Permission, SHARE_PREFIX, Share, ShareChange};
use crate::app::text;
use crate::db::{Trouble, column, transact};
use crate::http::ApiError;

/// Shares an item of the caller's. A share that was taken back or has expired is made anew in its place.
///
/// # Errors
/// [`Trouble`]; the spec's refusals in its order are [`Trouble::Refused`].
pub async fn share(pool: &Pool, user: &str, item: &str, new: &NewShare<'_>) -> Result<Share, Trouble> {
    let session = pool.get_to_write().await?;
    let session: &Session = &session;
    transact!(session, "share", "", {
        owned(session, user, item, "Not authorized to share this item").await?;
        let with = new.with.as_str();
        let sql = include_str!("sql/has_target.sql");
        if !is(session, sql, &[&user, &with, &new.target_id]).await? {
            return Err(ApiError::not_found(format!("{with} not found")).into());
        }
        grant(session, user, item, SHARE_PREFIX, new, "Share already exists").await
    })
}

/// Shares an item of the caller's from one organization to another.
///
/// # Errors
/// As [`share`].
pub async fn share_between_organizations(
    pool: &Pool,
    user: &str,
    item: &str,
    source: &str,
    new: &NewShare<'_>,
) -> Result<Share, Trouble> {
    let session = pool.get_to_write().await?;
    let session: &Session = &session;
    transact!(session, "org share", "", {
        owned(session, user, item, "Not authorized to share this item").await?;
        let member =
            "SELECT EXISTS (SELECT FROM user_organizations WHERE user_id = $1 AND organization_id = $2)";
        if !is(session, member, &[&user, &source]).await? {
            return Err(ApiError::not_found("Source organization not found").into());
        }
        let there = "SELECT EXISTS (SELECT FROM organizations WHERE id = $1)";
        if !is(session, there, &[&new.target_id]).await? {
            return Err(ApiError::not_found("Target organization not found").into());
        }
        let prefix = format!("{ORG_SHARE_PREFIX}{source}:");
        grant(session, user, item, &prefix, new, "Org share already exists").await
    })
}

/// Changes what a share permits, or until when.
///
/// # Errors
/// [`Trouble`]; 404 and 403 are [`Trouble::Refused`].
pub async fn change(pool: &Pool, user: &str, id: &str, change: ShareChange) -> Result<Share, Trouble> {
    let session = pool.get_to_write().await?;
    let session: &Session = &session;
    transact!(session, "change share", "", {
        let id =
            found(session, user, id, SHARE_PREFIX, "Share not found", "Not authorized to update this share");
        let id = id.await?;
        let level = change.permission.map(Permission::level).map(|level| level.as_str());
        let moves = change.expires_at.is_some();
        let expires_at = change.expires_at.flatten().map(jiff::Timestamp::from);
        let rows = session
            .query_prepared(
                include_str!("sql/change.sql"),
                &[text(&id), text(&level), (&moves, Type::BOOL), (&expires_at, Type::TIMESTAMPTZ)],
            )
            .await?;
        let row = rows.first().ok_or_else(|| ApiError::not_found("Share not found"))?;
        Ok(Share::read(row)?)
    })
}

/// Takes a share back; `prefix` says of which kind.
///
/// # Errors
/// [`Trouble`]; 404 and 403 are [`Trouble::Refused`].
pub async fn take_back(
    pool: &Pool,
    user: &str,
    id: &str,
    prefix: &str,
    not_found: &'static str,
) -> Result<(), Trouble> {
    let session = pool.get_to_write().await?;
    let session: &Session = &session;
    transact!(session, "unshare", "", {
        let id = found(session, user, id, prefix, not_found, "Not authorized to delete this share").await?;
        session.execute_prepared(include_str!("sql/take_back.sql"), &[text(&id)]).await?;
        Ok(())
    })
}

/// Whether an item is there and the caller's; its row is locked.
async fn owned(session: &Session, user: &str, item: &str, refusal: &'static str) -> Result<(), Trouble> {
    let sql = "SELECT owner_id FROM vfs_registry WHERE id = $1 FOR UPDATE";
    let rows = session.query_prepared(sql, &[text(&item)]).await?;
    let row = rows.first().ok_or_else(|| ApiError::not_found("Item not found"))?;
    let owner: Option<String> = column(row, 0)?;
    if owner.as_deref() == Some(user) { Ok(()) } else { Err(ApiError::forbidden(refusal).into()) }
}

/// The id of an active share of the caller's items, given with or without its prefix; rows are locked.
async fn found(
    session: &Session,
    user: &str,
    id: &str,
    prefix: &str,
    not_found: &'static str,
    forbidden: &'static str,
) -> Result<String, Trouble> {
    let is_between = prefix == ORG_SHARE_PREFIX;
    let sql = include_str!("sql/found.sql");
    let rows = session.query_prepared(sql, &[text(&id), (&is_between, Type::BOOL)]).await?;
    let row = rows.first().ok_or_else(|| ApiError::not_found(not_found))?;
    let (id, owner): (String, Option<String>) = (column(row, 0)?, column(row, 1)?);
    if owner.as_deref() == Some(user) { Ok(id) } else { Err(ApiError::forbidden(forbidden).into()) }
}

async fn is(session: &Session, sql: &'static str, texts: &[&&str]) -> Result<bool, Trouble> {
    let parameters: Vec<_> = texts.iter().map(|value| text(*value)).collect();
    let rows = session.query_prepared(sql, &parameters).await?;
    Ok(rows.first().map_or(Ok(false), |row| column(row, 0))?)
}

async fn grant(
    session: &Session,
    user: &str,
    item: &str,
    prefix: &str,
    new: &NewShare<'_>,
    exists: &'static str,
) -> Result<Share, Trouble> {
    let kind = PrincipalType::as_str(new.with);
    let id = format!("{prefix}{}", Uuid::new_v4());
    // One of another kind that has ended would keep its id, and its kind with it.
    session
        .execute_prepared(
            include_str!("sql/forget_ended.sql"),
            &[text(&item), text(&kind), text(&new.target_id), text(&prefix)],
        )
        .await?;
    let level = new.permission.level().as_str();
    let expires_at = new.expires_at.map(jiff::Timestamp::from);
    let rows = session
        .query_prepared(
            include_str!("sql/grant.sql"),
            &[
                text(&id),
                text(&item),
                text(&kind),
                text(&new.target_id),
                text(&level),
                text(&new.wrapped_session_key),
                text(&user),
                (&expires_at, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    let row = rows.first().ok_or_else(|| ApiError::conflict(exists))?;
    Ok(Share::read(row)?)
}
