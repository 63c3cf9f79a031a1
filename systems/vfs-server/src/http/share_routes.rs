//! Shares of items.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use vfs_core::{PrincipalType, Timestamp};

use super::answer::{Answer, ApiError};
use super::body::JsonBody;
use super::query::{PathId, QueryParams, is_id, required};
use crate::app::App;
use crate::auth::Caller;
use crate::db::Trouble;
use crate::share::{self, NewShare, ORG_SHARE_PREFIX, Permission, SHARE_PREFIX, ShareChange};

/// Characters of a text that is searched for.
const SEARCH_CHARS_MAX: usize = 200;

/// `GET /items/:itemId/shares`.
pub(super) async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    PathId(item): PathId,
) -> Result<Answer, ApiError> {
    item_id(&item)?;
    let listed = async {
        let session = app.pool().get().await?;
        share::list(&session, caller.user_id(), &item).await
    };
    let listed = listed.await.map_err(|trouble| trouble.or("Failed to get shares"))?;
    Ok(Answer::ok(json!(listed)))
}

/// `POST /items/:itemId/shares`.
pub(super) async fn share(
    caller: Caller,
    State(app): State<Arc<App>>,
    PathId(item): PathId,
    JsonBody(body, _place): JsonBody,
) -> Result<Answer, ApiError> {
    item_id(&item)?;
    let with = required(&body, "shareType").and_then(PrincipalType::parse);
    let target_id = required(&body, "targetId").filter(|id| is_id(id));
    let permission = required(&body, "permissionLevel").and_then(Permission::parse);
    let (Some(with), Some(target_id), Some(permission)) = (with, target_id, permission) else {
        return Err(ApiError::bad("shareType, targetId, and permissionLevel are required"));
    };
    let new = new_share(&body, with, target_id, permission)?;
    let made = share::share(app.pool(), caller.user_id(), &item, &new)
        .await
        .map_err(|trouble| trouble.or("Failed to create share"))?;
    Ok(Answer::new(StatusCode::CREATED, json!({ "share": made })))
}

/// `POST /items/:itemId/org-shares`.
pub(super) async fn share_between_organizations(
    caller: Caller,
    State(app): State<Arc<App>>,
    PathId(item): PathId,
    JsonBody(body, _place): JsonBody,
) -> Result<Answer, ApiError> {
    item_id(&item)?;
    let id = |name| required(&body, name).filter(|id| is_id(id));
    let permission = required(&body, "permissionLevel").and_then(Permission::parse);
    let (Some(source), Some(target_id), Some(permission)) =
        (id("sourceOrgId"), id("targetOrgId"), permission)
    else {
        return Err(ApiError::bad("sourceOrgId, targetOrgId, and permissionLevel are required"));
    };
    let new = new_share(&body, PrincipalType::Organization, target_id, permission)?;
    let made = share::share_between_organizations(app.pool(), caller.user_id(), &item, source, &new)
        .await
        .map_err(|trouble| trouble.or("Failed to create org share"))?;
    Ok(Answer::new(StatusCode::CREATED, json!({ "orgShare": made })))
}

/// `PATCH /shares/:id`.
pub(super) async fn change(
    caller: Caller,
    State(app): State<Arc<App>>,
    PathId(id): PathId,
    JsonBody(body, _place): JsonBody,
) -> Result<Answer, ApiError> {
    share_id(&id)?;
    let permission = match body.get("permissionLevel") {
        None => None,
        Some(value) => {
            let permission = value.as_str().and_then(Permission::parse);
            let text = "permissionLevel must be view, edit, or download";
            Some(permission.ok_or_else(|| ApiError::bad(text))?)
        }
    };
    let expires_at = match body.get("expiresAt") {
        None => None,
        Some(_) => Some(expires_at(&body)?),
    };
    if permission.is_none() && expires_at.is_none() {
        return Err(ApiError::bad("permissionLevel or expiresAt is required"));
    }
    let change = ShareChange { permission, expires_at };
    let changed = share::change(app.pool(), caller.user_id(), &id, change)
        .await
        .map_err(|trouble| trouble.or("Failed to update share"))?;
    Ok(Answer::ok(json!({ "share": changed })))
}

/// `DELETE /shares/:id`.
pub(super) async fn take_back(
    caller: Caller,
    State(app): State<Arc<App>>,
    PathId(id): PathId,
) -> Result<Answer, ApiError> {
    share_id(&id)?;
    share::take_back(app.pool(), caller.user_id(), &id, SHARE_PREFIX, "Share not found")
        .await
        .map_err(|trouble| trouble.or("Failed to delete share"))?;
    Ok(Answer::ok(json!({ "deleted": true })))
}

/// `DELETE /org-shares/:id`.
pub(super) async fn take_back_between_organizations(
    caller: Caller,
    State(app): State<Arc<App>>,
    PathId(id): PathId,
) -> Result<Answer, ApiError> {
    share_id(&id)?;
    share::take_back(app.pool(), caller.user_id(), &id, ORG_SHARE_PREFIX, "Org share not found")
        .await
        .map_err(|trouble| trouble.or("Failed to delete org share"))?;
    Ok(Answer::ok(json!({ "deleted": true })))
}

/// `GET /share-targets/search`.
pub(super) async fn search(
    caller: Caller,
    State(app): State<Arc<App>>,
    query: QueryParams,
) -> Result<Answer, ApiError> {
    let words = query.one("q")?;
    let fits = |words: &String| words.chars().count() <= SEARCH_CHARS_MAX && !words.contains('\0');
    let words = words.filter(fits).ok_or_else(|| ApiError::bad("q must be 1 to 200 characters"))?;
    let kind = query.one("type")?;
    if kind.as_deref().is_some_and(|kind| PrincipalType::parse(kind).is_none()) {
        return Err(ApiError::bad("type must be user, group, or organization"));
    }
    let found = async {
        let session = app.pool().get().await?;
        Ok::<_, Trouble>(share::search(&session, caller.user_id(), &words, kind.as_deref()).await?)
    };
    let found = found.await.map_err(|trouble| trouble.or("Failed to search share targets"))?;
    Ok(Answer::ok(json!({ "results": found })))
}

/// What cannot be an id names nothing.
fn item_id(id: &str) -> Result<(), ApiError> {
    if is_id(id) { Ok(()) } else { Err(ApiError::not_found("Item not found")) }
}

fn share_id(id: &str) -> Result<(), ApiError> {
    if is_id(id) { Ok(()) } else { Err(ApiError::not_found("Share not found")) }
}

fn new_share<'a>(
    body: &'a Json,
    with: PrincipalType,
    target_id: &'a str,
    permission: Permission,
) -> Result<NewShare<'a>, ApiError> {
    Ok(NewShare {
        with,
        target_id,
        permission,
        expires_at: expires_at(body)?,
        wrapped_session_key: required(body, "wrappedSessionKey").filter(|key| !key.contains('\0')),
    })
}

/// `expiresAt`: a time in the future, or nothing.
fn expires_at(body: &Json) -> Result<Option<Timestamp>, ApiError> {
    match body.get("expiresAt") {
        None | Some(Json::Null) => Ok(None),
        Some(value) => {
            let at: Option<Timestamp> = value.as_str().and_then(|text| text.trim().parse().ok());
            let now = Timestamp::try_from(jiff::Timestamp::now()).ok();
            let at = at.filter(|at| Some(*at) > now);
            at.map(Some).ok_or_else(|| ApiError::bad("expiresAt must be in the future"))
        }
    }
}
