//! The feed of operations.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use vfs_core::guardrail::is_signature;
use vfs_core::{ClientId, PushReply, PushRequest, ReconcileRequest};

use super::answer::{Answer, ApiError};
use super::body::JsonBody;
use super::query::{QueryParams, required};
use crate::app::App;
use crate::auth::Caller;
use crate::crdt;
use crate::db::Trouble;
use crate::snapshot::{ROWS_MAX, snapshot as snapshot_of};

const PULL_FAILED: &str = "Failed to sync VFS CRDT operations";
const SNAPSHOT_FAILED: &str = "Failed to snapshot VFS CRDT state";
const PUSH_FAILED: &str = "Failed to push CRDT operations";
const RECONCILE_FAILED: &str = "Failed to reconcile CRDT cursor";

/// `GET /crdt/sync`.
pub(super) async fn pull(
    caller: Caller,
    State(app): State<Arc<App>>,
    query: QueryParams,
) -> Result<Answer, ApiError> {
    let limit = query.limit()?;
    let cursor = query.cursor()?;
    let root = query.id("rootId")?;
    let client = client_id(&query)?;
    let pull = crdt::Pull {
        user: caller.user_id(),
        client: client.as_ref().map(AsRef::as_ref),
        cursor: cursor.as_ref(),
        root: root.as_deref(),
        limit,
        newest: app.pulse().newest(),
    };
    let pulled = async {
        let session = app.pool().get().await?;
        crdt::pull(&session, &pull).await
    };
    let (text, ground) = pulled.await.map_err(|trouble| trouble.or(PULL_FAILED))?;
    app.saw_feed_epoch(ground.epoch);
    Ok(Answer::text(text, ground.epoch))
}

/// `GET /crdt/snapshot`.
pub(super) async fn snapshot(
    caller: Caller,
    State(app): State<Arc<App>>,
    query: QueryParams,
) -> Result<Answer, ApiError> {
    let client = client_id(&query)?;
    let place = app.snapshot_place(caller.user_id());
    let _place = place.ok_or_else(|| ApiError::unavailable("Too many snapshots", 2))?;
    let folded = async {
        let session = app.pool().get().await?;
        snapshot_of(&session, caller.user_id(), client.as_ref().map(AsRef::as_ref), ROWS_MAX).await
    };
    let folded = folded.await.map_err(|trouble| trouble.or(SNAPSHOT_FAILED))?;
    written(&folded, folded.feed_epoch, SNAPSHOT_FAILED)
}

fn client_id(query: &QueryParams) -> Result<Option<ClientId>, ApiError> {
    let client = query.one("clientId")?.map(|text| ClientId::parse(&text)).transpose();
    client.map_err(|_| ApiError::bad("clientId must be non-empty, <=128 chars, and must not contain \":\""))
}

/// `POST /crdt/push`.
pub(super) async fn push(
    caller: Caller,
    State(app): State<Arc<App>>,
    JsonBody(body, _place): JsonBody,
) -> Result<Answer, ApiError> {
    let request = PushRequest::parse(&body).map_err(|error| ApiError::bad(error.to_string()))?;
    drop(body);
    let pushed = app.push_lanes().push(app.pool(), caller.user_id(), request).await;
    let (reply, epoch) = pushed.map_err(|trouble| trouble.or(PUSH_FAILED))?;
    app.saw_feed_epoch(epoch);
    written(&OfEpoch { reply, feed_epoch: epoch }, epoch, PUSH_FAILED)
}

/// The answer to a push, and the epoch that it is of.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OfEpoch {
    #[serde(flatten)]
    reply: PushReply,
    feed_epoch: i32,
}

/// `POST /crdt/reconcile`.
pub(super) async fn reconcile(
    caller: Caller,
    State(app): State<Arc<App>>,
    JsonBody(body, _place): JsonBody,
) -> Result<Answer, ApiError> {
    let request = ReconcileRequest::parse(&body).map_err(|error| ApiError::bad(error.to_string()))?;
    let kept = crdt::reconcile(app.pool(), caller.user_id(), &request)
        .await
        .map_err(|trouble| trouble.or(RECONCILE_FAILED))?;
    let answer = serde_json::json!({
        "clientId": request.client_id,
        "cursor": kept.state.cursor.encode(),
        "lastReconciledWriteIds": kept.state.last_reconciled_write_ids,
    });
    Ok(Answer::ok(answer).of_epoch(kept.epoch))
}

/// `POST /crdt/guardrails`.
pub(super) async fn guardrails(
    caller: Caller,
    State(app): State<Arc<App>>,
    JsonBody(body, _place): JsonBody,
) -> Result<Answer, ApiError> {
    let client = ClientId::from_value(body.get("clientId"));
    let signature = required(&body, "signature").filter(|signature| is_signature(signature));
    let violations = body.get("violations").and_then(serde_json::Value::as_i64);
    let violations = violations.filter(|count| (1..=crdt::VIOLATIONS_MAX).contains(count));
    let (Some(client), Some(signature), Some(violations)) = (client, signature, violations) else {
        return Err(ApiError::bad(
            "clientId, a known signature, and violations of 1 to 1000000 are required",
        ));
    };
    let noted = crdt::note_violations(app.pool(), caller.user_id(), client.as_str(), signature, violations);
    noted.await.map_err(|trouble| trouble.or("Failed to note guardrail violations"))?;
    Ok(Answer::ok(serde_json::json!({ "noted": true })))
}

fn written(body: &impl Serialize, epoch: i32, failed: &'static str) -> Result<Answer, ApiError> {
    Answer::written(body, epoch).map_err(|error| Trouble::Broken(error.to_string()).or(failed))
}
