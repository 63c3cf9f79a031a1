//! `POST /v1/vfs/blobs/stage/{id}/abandon`, and reading how a stage stands.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;
use tidegate_store::postgres::Session;
use vfs_core::blob_stage::StageStatus;

use super::id_or_refusal;
use super::key::BlobId;
use super::rows::{self, FORBIDDEN, StageRow};
use crate::app::App;
use crate::auth::Caller;
use crate::db::{Trouble, transact};
use crate::http::{Answer, ApiError, PathId};

const NOT_ABANDONABLE: &str = "Blob staging is no longer abandonable";
const FAILED_TO_ABANDON: &str = "Failed to abandon staged blob";
const FAILED_TO_READ: &str = "Failed to read staged blob";

/// Abandons a stage. Blob and object stay.
pub(super) async fn abandon(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathId(staging_id): PathId,
) -> Result<Answer, ApiError> {
    let staging_id = staging_id_of(&staging_id)?;
    let abandoned = in_abandonment(&app, &staging_id, caller.user_id());
    abandoned.await.map_err(|trouble| trouble.or(FAILED_TO_ABANDON))?;
    Ok(Answer::ok(json!({
        "abandoned": true,
        "stagingId": staging_id.as_str(),
        "status": StageStatus::Abandoned.as_str(),
    })))
}

async fn in_abandonment(app: &App, staging_id: &BlobId, user: &str) -> Result<(), Trouble> {
    let session = app.pool().get_to_write().await?;
    let session: &Session = &session;
    transact!(session, "blob_abandon", "", { write(session, staging_id, user).await })
}

async fn write(session: &Session, staging_id: &BlobId, user: &str) -> Result<(), Trouble> {
    rows::lock_items(session, &[staging_id.as_str()]).await?;
    let stage = owned(session, staging_id, user).await?;
    match StageStatus::of_tag(&stage.tag) {
        StageStatus::Staged => {}
        // By this request, or one like it: the answer is the same.
        StageStatus::Abandoned => return Ok(()),
        StageStatus::Attached | StageStatus::Invalid => {
            return Err(ApiError::conflict(NOT_ABANDONABLE).into());
        }
    }
    let status = StageStatus::Abandoned;
    let added = json!({ "status": status.as_str(), "abandonedAt": rows::now()?.to_string() });
    if rows::end_stage(session, staging_id.as_str(), &status.tag(), &added).await? {
        return Ok(());
    }
    Err(ApiError::conflict(NOT_ABANDONABLE).into())
}

/// How a stage of the caller stands: for whoever has lost an answer.
pub(super) async fn status(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathId(staging_id): PathId,
) -> Result<Answer, ApiError> {
    let staging_id = staging_id_of(&staging_id)?;
    let read = async {
        let session = app.pool().get().await?;
        owned(&session, &staging_id, caller.user_id()).await
    };
    let stage = read.await.map_err(|trouble| trouble.or(FAILED_TO_READ))?;
    let time = |name: &str| stage.time(name).map(|at| at.to_string());
    Ok(Answer::new(
        StatusCode::OK,
        json!({
            "stagingId": staging_id.as_str(),
            "blobId": stage.blob_id,
            "status": StageStatus::of_tag(&stage.tag).as_str(),
            "stagedAt": stage.created_at.to_string(),
            "expiresAt": time("expiresAt"),
            "attachedAt": time("attachedAt"),
            "attachedItemId": stage.text("attachedItemId"),
            "abandonedAt": time("abandonedAt"),
        }),
    ))
}

fn staging_id_of(text: &str) -> Result<BlobId, ApiError> {
    if text.is_empty() {
        return Err(ApiError::bad("stagingId is required"));
    }
    id_or_refusal("stagingId", text)
}

/// A stage that is there and the user's.
async fn owned(session: &Session, id: &BlobId, user: &str) -> Result<StageRow, Trouble> {
    let Some(stage) = rows::find_stage(session, id.as_str()).await? else {
        return Err(rows::no_stage(session).await);
    };
    if stage.owner_id.as_deref() != Some(user) {
        return Err(ApiError::forbidden(FORBIDDEN).into());
    }
    Ok(stage)
}
