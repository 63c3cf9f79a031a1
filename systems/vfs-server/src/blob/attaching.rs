//! `POST /v1/vfs/blobs/stage/{id}/attach`: a staged blob becomes part of an item.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp as Instant;
use serde_json::{Value as Json, json};
use tidegate_store::postgres::{Session, ToSql, Type};
use uuid::Uuid;
use vfs_core::attach::{
    AttachFacts, AttachRefusal, AttachRequest, StoredClientState, StoredLink, StoredStage, admit, adopt,
};
use vfs_core::blob_stage::StageStatus;
use vfs_core::{AccessLevel, Timestamp, UserId};

use super::key::BlobId;
use super::rows::{self, Item, StageRow};
use super::{id_or_refusal, storing};
use crate::app::App;
use crate::auth::Caller;
use crate::db::{Trouble, column, transact};
use crate::http::{Answer, ApiError, JsonBody, PathId};

const FAILED_TO_ATTACH: &str = "Failed to attach staged blob";

/// The link that attaches.
struct Attached {
    blob_id: String,
    ref_id: String,
    attached_at: Timestamp,
}

/// Attaches a stage.
pub(super) async fn attach(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathId(staging_id): PathId,
    JsonBody(body, _place): JsonBody,
) -> Result<Answer, ApiError> {
    let request = AttachRequest::parse(&staging_id, &body).map_err(refused)?;
    let staging_id = id_or_refusal("stagingId", &staging_id)?;
    let user = UserId::parse(caller.user_id()).map_err(|_| ApiError::unauthorized())?;
    let attached = in_attachment(&app, &request, &staging_id, &user);
    let attached = attached.await.map_err(|trouble| trouble.or(FAILED_TO_ATTACH))?;
    Ok(Answer::ok(json!({
        "attached": true,
        "stagingId": request.staging_id.as_str(),
        "blobId": attached.blob_id,
        "itemId": request.item_id.as_str(),
        "relationKind": request.relation_kind.as_str(),
        "refId": attached.ref_id,
        "attachedAt": attached.attached_at.to_string(),
    })))
}

/// The answer to a refusal; what is wrong with stored data is logged and not told.
fn refused(refusal: AttachRefusal) -> ApiError {
    if let AttachRefusal::Stored(flaw) = refusal {
        tracing::error!(%flaw, "a stage cannot be attached");
    }
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    ApiError::new(status, refusal.to_string())
}

async fn in_attachment(
    app: &App,
    request: &AttachRequest,
    staging_id: &BlobId,
    user: &UserId,
) -> Result<Attached, Trouble> {
    let session = app.pool().get_to_write().await?;
    let session: &Session = &session;
    transact!(session, "blob_attach", "", { write(session, request, staging_id, user).await })
}

async fn write(
    session: &Session,
    request: &AttachRequest,
    staging_id: &BlobId,
    user: &UserId,
) -> Result<Attached, Trouble> {
    let Some(stage) = rows::find_stage(session, staging_id.as_str()).await? else {
        return Err(rows::no_stage(session).await);
    };
    let ids = [staging_id.as_str(), stage.blob_id.as_str(), request.item_id.as_str()];
    let items = rows::lock_items(session, &ids).await?;
    // Under the lock of its item a stage does not change.
    let Some(stage) = rows::find_stage(session, staging_id.as_str()).await? else {
        return Err(rows::no_stage(session).await);
    };
    if let Some(attached) = repeated(session, request, &stage, user).await? {
        return Ok(attached);
    }
    let client = client_state(session, request, user).await?;
    let facts = AttachFacts {
        stage: Some(StoredStage {
            blob_id: &stage.blob_id,
            owner_id: stage.owner_id.as_deref(),
            tag: &stage.tag,
            expires_at: stage.text("expiresAt"),
        }),
        item_access: item_access(session, request, &items, user).await?,
        client: client.as_ref().map(|(changed_at, change_id, write_ids)| StoredClientState {
            changed_at: *changed_at,
            change_id,
            write_ids,
        }),
    };
    let now = rows::now()?;
    let attachable = admit(request, user, &facts, now).map_err(refused)?;
    let blob_id = attachable.blob_id.as_str();
    match items.iter().find(|item| item.id == blob_id) {
        Some(item) if item.object_type == "blob" => {}
        _ => return Err(refused(AttachRefusal::BlobIdConflict).into()),
    }
    storing::must_stay(session, &id_or_refusal("blobId", blob_id)?).await?;
    let added = json!({
        "status": StageStatus::Attached.as_str(),
        "attachedAt": now.to_string(),
        "attachedItemId": request.item_id.as_str(),
    });
    if !rows::end_stage(session, staging_id.as_str(), &StageStatus::Attached.tag(), &added).await? {
        return Err(refused(AttachRefusal::NotAttachable).into());
    }
    link(session, request, blob_id, user, now).await
}

/// What the same request was answered before, if it attached the stage.
async fn repeated(
    session: &Session,
    request: &AttachRequest,
    stage: &StageRow,
    user: &UserId,
) -> Result<Option<Attached>, Trouble> {
    let same = StageStatus::of_tag(&stage.tag) == StageStatus::Attached
        && stage.owner_id.as_deref() == Some(user.as_str())
        && stage.text("attachedItemId") == Some(request.item_id.as_str());
    if !same {
        return Ok(None);
    }
    match existing(session, request, &stage.blob_id).await {
        Ok(attached) => Ok(Some(attached)),
        // The item does not have it any more, or as something else: that is not what was asked for.
        Err(Trouble::Refused(_)) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

/// What the caller may do with the item. Of one that is there and may not be written it is said so, and of a stage that
/// it is none.
async fn item_access(
    session: &Session,
    request: &AttachRequest,
    items: &[Item],
    user: &UserId,
) -> Result<Option<AccessLevel>, Trouble> {
    let found = items.iter().find(|item| item.id == request.item_id.as_str());
    let Some(item) = found.filter(|item| item.object_type != "blobStage") else { return Ok(None) };
    if item.is_owned_by(user.as_str()) {
        return Ok(Some(AccessLevel::Admin));
    }
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&item.id, Type::TEXT), (&user.as_str(), Type::TEXT)];
    let rows = session.query_prepared(include_str!("sql/may_write.sql"), &parameters).await?;
    let may: bool = rows.first().map_or(Ok(false), |row| column(row, 0))?;
    Ok(Some(if may { AccessLevel::Write } else { AccessLevel::Read }))
}

type ClientRow = (Option<Timestamp>, String, Json);

/// The state of the client of whom visibility is required, locked.
async fn client_state(
    session: &Session,
    request: &AttachRequest,
    user: &UserId,
) -> Result<Option<ClientRow>, Trouble> {
    let Some(required) = &request.visibility else { return Ok(None) };
    let parameters: [(&(dyn ToSql + Sync), Type); 2] =
        [(&user.as_str(), Type::TEXT), (&required.client_id.as_str(), Type::TEXT)];
    let rows = session.query_prepared(include_str!("sql/client_state.sql"), &parameters).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    // A time beyond those of the calendar cannot be read: it is none.
    let at = column::<Instant>(row, 0).ok().and_then(|at| Timestamp::try_from(at).ok());
    Ok(Some((at, column(row, 1)?, column(row, 2)?)))
}

async fn link(
    session: &Session,
    request: &AttachRequest,
    blob_id: &str,
    user: &UserId,
    now: Timestamp,
) -> Result<Attached, Trouble> {
    let (ref_id, tag) = (Uuid::new_v4().to_string(), request.relation_kind.tag());
    let meta = json!({ "relationKind": request.relation_kind.as_str(), "attachedBy": user.as_str() });
    let at = Instant::from(now);
    let parameters: [(&(dyn ToSql + Sync), Type); 6] = [
        (&ref_id, Type::TEXT),
        (&request.item_id.as_str(), Type::TEXT),
        (&blob_id, Type::TEXT),
        (&tag, Type::TEXT),
        (&meta, Type::JSONB),
        (&at, Type::TIMESTAMPTZ),
    ];
    let made = session.execute_prepared(include_str!("sql/insert_blob_link.sql"), &parameters).await?;
    if made == 1 {
        return Ok(Attached { blob_id: blob_id.to_owned(), ref_id, attached_at: now });
    }
    existing(session, request, blob_id).await
}

/// The link that was there before, if it is as the request wants it.
async fn existing(session: &Session, request: &AttachRequest, blob_id: &str) -> Result<Attached, Trouble> {
    let parameters: [(&(dyn ToSql + Sync), Type); 2] =
        [(&request.item_id.as_str(), Type::TEXT), (&blob_id, Type::TEXT)];
    let rows = session.query_prepared(include_str!("sql/blob_link.sql"), &parameters).await?;
    let found = match rows.first() {
        None => None,
        Some(row) => {
            let at = column::<Instant>(row, 3).ok().and_then(|at| Timestamp::try_from(at).ok());
            Some((
                column::<String>(row, 0)?,
                column::<String>(row, 1)?,
                column::<Option<String>>(row, 2)?,
                at,
            ))
        }
    };
    let stored = found.as_ref().map(|(_, tag, kind, at)| StoredLink {
        tag,
        relation_kind: kind.as_deref(),
        created_at: *at,
    });
    let attached_at = adopt(request.relation_kind, stored.as_ref()).map_err(refused)?;
    let ref_id = found.map(|(id, ..)| id).unwrap_or_default();
    Ok(Attached { blob_id: blob_id.to_owned(), ref_id, attached_at })
}
