//! `POST /register`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;

use super::answer::{Answer, ApiError};
use super::body::JsonBody;
use super::item_routes::metadata_of;
use super::query::{is_id, required};
use crate::app::App;
use crate::auth::Caller;
use crate::registry::{NewItem, OBJECT_TYPES, register as register_item};

/// Makes an item the caller's.
pub(super) async fn register(
    caller: Caller,
    State(app): State<Arc<App>>,
    JsonBody(body, _place): JsonBody,
) -> Result<Answer, ApiError> {
    let key = |name| required(&body, name).filter(|key| !key.contains('\0'));
    let id = required(&body, "id").filter(|id| is_id(id));
    let object_type = required(&body, "objectType").filter(|known| OBJECT_TYPES.contains(known));
    let (Some(id), Some(object_type), Some(encrypted_session_key)) =
        (id, object_type, key("encryptedSessionKey"))
    else {
        return Err(ApiError::bad("id, objectType, and encryptedSessionKey are required"));
    };
    let metadata = metadata_of(&body)?;
    let item = NewItem {
        id,
        object_type,
        encrypted_session_key,
        public_hierarchical_key: key("publicHierarchicalKey"),
        encrypted_private_hierarchical_key: key("encryptedPrivateHierarchicalKey"),
        metadata,
    };
    let made = register_item(&app, caller.user_id(), &item)
        .await
        .map_err(|trouble| trouble.or("Failed to register VFS item"))?;
    let created_at = made.ok_or_else(|| ApiError::conflict("Item already registered in VFS"))?;
    Ok(Answer::new(StatusCode::CREATED, json!({ "id": id, "createdAt": created_at })))
}
