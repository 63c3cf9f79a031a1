//! `GET /v1/vfs/blobs/{id}` and `PUT /v1/vfs/blobs/{id}/content`: the bytes, in streams.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde_json::json;
use tidegate_store::postgres::Session;

use super::classify::{ObjectCode, ObjectError};
use super::key::BlobId;
use super::range::{Asked, asked};
use super::rows;
use super::store::{CONTENT_TYPE_DEFAULT, Object, UploadError};
use super::{content_type, failed, id_or_refusal, storing};
use crate::app::App;
use crate::auth::Caller;
use crate::db::{Trouble, transact};
use crate::http::{Answer, ApiError, PathId, PathIds, is_id};
use crate::item;

const FAILED_TO_READ: &str = "Failed to read blob data";
const FAILED_TO_PERSIST: &str = "Failed to persist blob data";
/// Seconds after which an upload may be tried again that met too many others.
const UPLOADS_RETRY_S: u64 = 5;

/// Reads a blob, or one range of it.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathId(blob_id): PathId,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let blob_id = blob_id_of(&blob_id)?;
    let looked = must_be_readable(&app, &blob_id, caller.user_id());
    looked.await.map_err(|trouble| trouble.or(FAILED_TO_READ))?;
    stream(&app, &blob_id, &headers).await
}

/// Reads a blob that is attached to an item, or one range of it: for everybody who sees the item.
pub(super) async fn read_of_item(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathIds(item_id, blob_id): PathIds,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if !is_id(&item_id) {
        return Err(ApiError::bad("itemId is required"));
    }
    let blob_id = blob_id_of(&blob_id)?;
    let looked = async {
        let session = app.pool().get().await?;
        item::must_show_blob(&session, caller.user_id(), &item_id, blob_id.as_str()).await
    };
    looked.await.map_err(|trouble| trouble.or(FAILED_TO_READ))?;
    stream(&app, &blob_id, &headers).await
}

async fn stream(app: &App, blob_id: &BlobId, headers: &HeaderMap) -> Result<Response, ApiError> {
    let told = |error: ObjectError| failed("get", blob_id, &error, FAILED_TO_READ);
    let store = app.blobs().map_err(told)?;
    let wanted = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let range = match wanted {
        None => None,
        Some(text) => {
            let meta = store.head(blob_id).await.map_err(told)?;
            let size = meta.ok_or_else(|| told(missing()))?.size_bytes;
            match asked(text, size) {
                Asked::Whole => None,
                Asked::Range(range) => Some(range),
                Asked::Nothing => return Ok(nothing(size)),
            }
        }
    };
    let is_part = range.is_some();
    let object = store.get(blob_id, range).await.map_err(told)?;
    Ok(answer(blob_id, object, is_part))
}

async fn must_be_readable(app: &App, blob_id: &BlobId, user: &str) -> Result<(), Trouble> {
    let session = app.pool().get().await?;
    match rows::find_item(&session, blob_id.as_str()).await? {
        Some(item) => Ok(item.must_be_blob_of(user)?),
        None => Err(rows::no_blob(&session).await),
    }
}

fn missing() -> ObjectError {
    let message = "there is no such object".to_owned();
    ObjectError { code: ObjectCode::NoSuchKey, attempts: 1, message, after_doubt: false }
}

fn answer(blob_id: &BlobId, object: Object, is_part: bool) -> Response {
    let (Range { start, end }, size) = (object.range, object.size_bytes);
    let id = blob_id.clone();
    // The head is out: all that is left to say is that the connection ends early.
    let body = object.body.inspect(move |piece| {
        if let Err(error) = piece {
            failed("get", &id, error, "the connection ends");
        }
    });
    let mut response = Body::from_stream(body).into_response();
    let headers = response.headers_mut();
    let kind = HeaderValue::from_str(&object.content_type);
    headers.insert(
        header::CONTENT_TYPE,
        kind.unwrap_or_else(|_| HeaderValue::from_static(CONTENT_TYPE_DEFAULT)),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(end.saturating_sub(start)));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    // What users upload is nothing for a browser to run as ours.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    if is_part {
        let last = end.saturating_sub(1);
        if let Ok(range) = HeaderValue::from_str(&format!("bytes {start}-{last}/{size}")) {
            headers.insert(header::CONTENT_RANGE, range);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

/// A range that ends before it begins.
fn nothing(size: u64) -> Response {
    let error = ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "Range not satisfiable");
    let mut response = error.into_response();
    if let Ok(range) = HeaderValue::from_str(&format!("bytes */{size}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    response
}

/// Writes a blob of any size; two parts of it are in memory at a time.
pub(super) async fn write(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathId(blob_id): PathId,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer, ApiError> {
    let blob_id = blob_id_of(&blob_id)?;
    must_fit(&app, &blob_id)?;
    let user = caller.user_id();
    let kind = match headers.get(header::CONTENT_TYPE) {
        None => CONTENT_TYPE_DEFAULT.to_owned(),
        Some(value) => {
            let kind = value.to_str().ok().and_then(content_type);
            kind.ok_or_else(|| ApiError::bad("Content-Type is not valid"))?
        }
    };
    let Some(place) = app.upload_place() else {
        return Err(ApiError::unavailable("Too many uploads", UPLOADS_RETRY_S));
    };
    let admitted = in_admission(&app, &blob_id, user);
    admitted.await.map_err(|trouble| trouble.or(FAILED_TO_PERSIST))?;
    let told = |error: ObjectError| failed("put", &blob_id, &error, FAILED_TO_PERSIST);
    let store = app.blobs().map_err(told)?;
    // A task of its own: when the caller goes away, what was begun in the store is still given up.
    let uploading = {
        let (store, blob_id) = (store.clone(), blob_id.clone());
        async move {
            // As long as parts are in memory, also those of a caller who has gone away.
            let _place = place;
            store.upload(&blob_id, &kind, body.into_data_stream()).await
        }
    };
    let uploaded = tokio::spawn(uploading).await.map_err(|error| {
        tracing::error!(%error, "an upload ended unexpectedly");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, FAILED_TO_PERSIST)
    })?;
    let size = uploaded.map_err(|error| match error {
        UploadError::Store(error) => told(error),
        UploadError::TooLarge => ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "Blob is too large"),
        UploadError::Body(reason) => {
            tracing::debug!(blob = %blob_id, reason, "an upload ended early");
            ApiError::bad("Request body could not be read")
        }
    })?;
    if let Err(trouble) = in_registration(&app, &blob_id, user).await {
        if let Trouble::Refused(_) = &trouble {
            storing::give_up(&app, &blob_id, user).await;
        }
        return Err(trouble.or(FAILED_TO_PERSIST));
    }
    Ok(Answer::ok(json!({ "blobId": blob_id.as_str(), "sizeBytes": size })))
}

async fn in_admission(app: &App, blob_id: &BlobId, user: &str) -> Result<(), Trouble> {
    let session = app.pool().get_to_write().await?;
    let session: &Session = &session;
    let patience = app.patience();
    transact!(session, "blob_admit", "", { storing::admit(session, blob_id, user, &patience).await })
}

async fn in_registration(app: &App, blob_id: &BlobId, user: &str) -> Result<(), Trouble> {
    let session = app.pool().get_to_write().await?;
    let session: &Session = &session;
    transact!(session, "blob_register", "", { register(session, blob_id, user).await })
}

async fn register(session: &Session, blob_id: &BlobId, user: &str) -> Result<(), Trouble> {
    let items = rows::lock_items(session, &[blob_id.as_str()]).await?;
    match items.first() {
        Some(item) => storing::may_write(session, item, blob_id, user).await,
        None => storing::register(session, blob_id, user, rows::now()?).await,
    }
}

/// Refuses an id whose object cannot be kept, before anything is reserved for it.
pub(super) fn must_fit(app: &App, blob_id: &BlobId) -> Result<(), ApiError> {
    match app.blobs() {
        Ok(store) if !store.takes(blob_id) => Err(ApiError::bad("blobId cannot be the name of a file")),
        _ => Ok(()),
    }
}

pub(super) fn blob_id_of(text: &str) -> Result<BlobId, ApiError> {
    if text.is_empty() {
        return Err(ApiError::bad("blobId is required"));
    }
    id_or_refusal("blobId", text)
}
