//! Blobs: bytes in an object store, metadata in the registry.
//!
//! No transaction is open while the object store is asked: what is under way stands in `vfs_blob_marks`.
//!
//! | module | in one sentence |
//! |---|---|
//! | [`config`], [`key`] | what the environment says; ids, and where an object lies |
//! | [`store`] | whole objects and streams, by the id of a blob |
//! | [`sweep`], [`orphans`], [`doctor`] | what operators run |
//! | [`classify`], [`retry`] | what went wrong there, and asking again |

mod attaching;
mod claim;
pub mod classify;
pub mod config;
mod connection;
mod content;
mod deletion;
pub mod doctor;
mod failures;
pub mod key;
pub mod orphans;
mod range;
mod readiness;
mod reading;
pub mod retry;
mod rows;
mod stage;
mod stage_routes;
pub mod store;
mod storing;
pub mod sweep;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, StatusCode};
use axum::routing::{get, post, put};

use crate::app::App;
use crate::http::ApiError;
pub(crate) use claim::Claim;
use classify::{ObjectCode, ObjectError};
use config::Patience;
pub(crate) use failures::FAILURES;
use key::BlobId;
pub(crate) use readiness::Readiness;
pub(crate) use rows::not_flattened;
use store::{BlobStore, CONTENT_TYPE_BYTES_MAX};

/// The routes of blobs, below `/v1/vfs`.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/blobs/stage", post(stage::stage))
        .route("/blobs/stage/{id}", get(stage_routes::status))
        .route("/blobs/stage/{id}/attach", post(attaching::attach))
        .route("/blobs/stage/{id}/abandon", post(stage_routes::abandon))
        .route("/blobs/{id}", get(content::read).delete(deletion::delete))
        .route("/blobs/{id}/content", put(content::write))
        .route("/items/{id}/blobs/{blob}", get(content::read_of_item))
}

impl App {
    /// The object store, or why there is none: the routes that need it answer 500, and the others go on.
    pub(crate) fn blobs(&self) -> Result<&BlobStore, ObjectError> {
        self.blob_store().map_err(|error| ObjectError {
            code: ObjectCode::Other("Configuration".to_owned()),
            attempts: 0,
            message: error.to_string(),
            after_doubt: false,
        })
    }

    /// How long the object store is asked.
    pub(crate) fn patience(&self) -> Patience {
        self.blob_store().map_or_else(|_| Patience::default(), |store| store.config().patience)
    }
}

/// Logs what the object store did, and answers 500 with the route's text.
fn failed(operation: &str, blob_id: &BlobId, error: &ObjectError, text: &'static str) -> ApiError {
    tracing::error!(
        operation,
        blob = %blob_id,
        code = error.code.name(),
        retryability = error.retryability().name(),
        attempts = error.attempts,
        reason = error.message,
        answer = text,
        "the object store failed"
    );
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, text)
}

/// An id of a request.
fn id_or_refusal(field: &str, text: &str) -> Result<BlobId, ApiError> {
    BlobId::parse(text).map_err(|error| ApiError::bad(format!("{field} {error}")))
}

/// A content type that can stand in a header.
fn content_type(text: &str) -> Option<String> {
    let text = text.trim();
    let good =
        !text.is_empty() && text.len() <= CONTENT_TYPE_BYTES_MAX && HeaderValue::from_str(text).is_ok();
    (good && text.is_ascii()).then(|| text.to_owned())
}
