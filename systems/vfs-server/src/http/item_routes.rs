//! Looking at items, and what clients know of them.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value as Json, json};

use super::answer::{Answer, ApiError};
use super::body::JsonBody;
use super::query::{PathId, is_id};
use crate::app::App;
use crate::auth::Caller;
use crate::db::Trouble;
use crate::item::{self, LOOKUP_ITEMS_MAX, METADATA_BYTES_MAX};

const METADATA: &str = "metadata must be a string of at most 16384 bytes, or null";

/// `POST /items/lookup`.
pub(super) async fn lookup(
    caller: Caller,
    State(app): State<Arc<App>>,
    JsonBody(body, _place): JsonBody,
) -> Result<Answer, ApiError> {
    let ids =
        body.get("ids").and_then(Json::as_array).filter(|ids| (1..=LOOKUP_ITEMS_MAX).contains(&ids.len()));
    let ids = ids.and_then(|ids| {
        ids.iter().map(|id| id.as_str().map(str::trim).filter(|id| is_id(id))).collect::<Option<Vec<&str>>>()
    });
    let ids = ids.ok_or_else(|| ApiError::bad("ids must be an array of 1 to 500 ids"))?;
    let found = async {
        let session = app.pool().get().await?;
        item::lookup(&session, caller.user_id(), &ids).await
    };
    let items = found.await.map_err(|trouble: Trouble| trouble.or("Failed to look items up"))?;
    Ok(Answer::ok(json!({ "items": items })))
}

/// `PUT /items/:id/metadata`.
pub(super) async fn set_metadata(
    caller: Caller,
    State(app): State<Arc<App>>,
    PathId(id): PathId,
    JsonBody(body, _place): JsonBody,
) -> Result<Answer, ApiError> {
    if !is_id(&id) {
        return Err(ApiError::bad("itemId is required"));
    }
    if body.get("metadata").is_none() {
        return Err(ApiError::bad(METADATA));
    }
    let metadata = metadata_of(&body)?;
    let kept = item::set_metadata(app.pool(), caller.user_id(), &id, metadata).await;
    kept.map_err(|trouble| trouble.or("Failed to keep metadata"))?;
    Ok(Answer::ok(json!({ "itemId": id, "metadata": metadata })))
}

/// What a body says that clients know of an item.
///
/// # Errors
/// 400 where it is no text, or too long a one.
pub(super) fn metadata_of(body: &Json) -> Result<Option<&str>, ApiError> {
    match body.get("metadata") {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) if text.len() <= METADATA_BYTES_MAX && !text.contains('\0') => {
            Ok(Some(text))
        }
        Some(_) => Err(ApiError::bad(METADATA)),
    }
}
