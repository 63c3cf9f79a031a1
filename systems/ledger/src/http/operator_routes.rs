//! Keys, health, metrics.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::json;
use tidegate_store::postgres::PoolError;

use super::answer::{self, ApiError};
use crate::app::App;
use crate::operations::LedgerError;

/// `GET /.well-known/jwks.json`.
pub(super) async fn keys(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    let set = app.keys().current(app.ledger().application()).await?;
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known =
        known.is_some_and(|known| known.split(',').any(|tag| tag.trim() == set.etag || tag.trim() == "*"));
    let mut response = Response::new(if is_known { Body::empty() } else { Body::from(set.body) });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    if let Ok(etag) = HeaderValue::from_str(&set.etag) {
        fields.insert(header::ETAG, etag);
    }
    Ok(response)
}

/// `GET /health`: whether the process answers, and its database.
pub(super) async fn health(State(app): State<Arc<App>>) -> Response {
    ready(State(app)).await
}

/// `GET /readyz`: whether requests should be sent here.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    let (status, why) = match app.look().await {
        Ok(()) => (StatusCode::OK, None),
        Err(error) => {
            tracing::warn!(error = error.told(), "not ready");
            // Whoever asks is anybody: no address, and no name of a role.
            let why = match &error {
                LedgerError::Schema => error.to_string(),
                LedgerError::Pool(PoolError::Exhausted { .. }) => "all sessions are in use".to_owned(),
                LedgerError::Store(failure) | LedgerError::Pool(PoolError::Store(failure))
                    if failure.sqlstate().is_some() =>
                {
                    format!("the database refuses ({}); see the log", failure.sqlstate().unwrap_or_default())
                }
                _ => "the database does not answer; see the log".to_owned(),
            };
            (StatusCode::SERVICE_UNAVAILABLE, Some(why))
        }
    };
    answer::json(status, &json!({ "ready": why.is_none(), "why": why }))
}

/// `GET /metrics`.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let pool = app.ledger().application().status();
    let mut response = Response::new(Body::from(app.figures().render(&pool)));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
