//! The caller's public key.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;

use super::answer::{Answer, ApiError};
use super::body::JsonBody;
use super::query::required;
use crate::app::App;
use crate::auth::Caller;
use crate::db::Trouble;
use crate::registry;

/// `GET /keys/me`.
pub(super) async fn mine(caller: Caller, State(app): State<Arc<App>>) -> Result<Answer, ApiError> {
    let found = async {
        let session = app.pool().get().await?;
        Ok::<_, Trouble>(registry::public_key(&session, caller.user_id()).await?)
    };
    let found = found.await.map_err(|trouble| trouble.or("Failed to get VFS keys"))?;
    let (key, created_at) = found.ok_or_else(|| ApiError::not_found("VFS keys not set up"))?;
    Ok(Answer::ok(json!({ "publicKey": key, "createdAt": created_at })))
}

/// `POST /keys`.
pub(super) async fn keep(
    caller: Caller,
    State(app): State<Arc<App>>,
    JsonBody(body, _place): JsonBody,
) -> Result<Answer, ApiError> {
    let key = required(&body, "publicKey").filter(|key| !key.contains('\0'));
    let key = key.ok_or_else(|| ApiError::bad("publicKey is required"))?;
    let made = registry::keep_public_key(app.pool(), caller.user_id(), key)
        .await
        .map_err(|trouble| trouble.or("Failed to set up VFS keys"))?;
    let created_at = made.ok_or_else(|| ApiError::conflict("VFS keys already exist"))?;
    Ok(Answer::new(StatusCode::CREATED, json!({ "created": true, "createdAt": created_at })))
}
