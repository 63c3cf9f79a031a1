//! The feed of objects.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value as Json, json};
use vfs_core::ReconcileRequest;

use super::answer::{Answer, ApiError};
use super::body::JsonBody;
use super::query::QueryParams;
use crate::app::App;
use crate::auth::Caller;
use crate::crdt::reconcile_objects;
use crate::db::Trouble;
use crate::feed::{Feed, ground, pull_changes};

/// `GET /sync`.
pub(super) async fn pull(
    caller: Caller,
    State(app): State<Arc<App>>,
    query: QueryParams,
) -> Result<Answer, ApiError> {
    let limit = query.limit()?;
    let cursor = query.cursor()?;
    let root = query.id("rootId")?;
    let pulled = async {
        let session = app.pool().get().await?;
        let newest = app.pulse().newest();
        let page =
            pull_changes(&session, caller.user_id(), cursor.as_ref(), root.as_deref(), limit, newest).await?;
        let ground = ground(&session, cursor.as_ref()).await?;
        ground.judge(Feed::Objects, cursor.as_ref()).map_err(|gone| gone.refusal(ground.epoch))?;
        Ok::<_, Trouble>((page, ground))
    };
    let (page, ground) = pulled.await.map_err(|trouble| trouble.or("Failed to sync VFS changes"))?;
    app.saw_feed_epoch(ground.epoch);
    let answer = json!({
        "items": page.items,
        "nextCursor": page.next_cursor.map(|cursor| cursor.encode()),
        "hasMore": page.has_more,
    });
    Ok(Answer::ok(answer).of_epoch(ground.epoch))
}

/// `POST /sync/reconcile`.
pub(super) async fn reconcile(
    caller: Caller,
    State(app): State<Arc<App>>,
    JsonBody(mut body, _place): JsonBody,
) -> Result<Answer, ApiError> {
    // This feed has no writes.
    if let Json::Object(fields) = &mut body {
        fields.remove("lastReconciledWriteIds");
    }
    let request = ReconcileRequest::parse(&body).map_err(|error| ApiError::bad(error.to_string()))?;
    let kept = reconcile_objects(app.pool(), caller.user_id(), &request)
        .await
        .map_err(|trouble| trouble.or("Failed to reconcile sync cursor"))?;
    let answer = json!({ "clientId": request.client_id, "cursor": kept.state.cursor.encode() });
    Ok(Answer::ok(answer).of_epoch(kept.epoch))
}
