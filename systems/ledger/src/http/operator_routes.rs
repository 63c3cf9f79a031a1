//! Keys, health, metrics.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::json;

use super::answer::{self, ApiError};
use crate::app::{App, SCHEMA_NEEDED};

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
    let (status, why) = match app.is_ready().await {
        Ok(true) => (StatusCode::OK, None),
        Ok(false) => {
            (StatusCode::SERVICE_UNAVAILABLE, Some(format!("the database lacks migration {SCHEMA_NEEDED}")))
        }
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, Some("the database does not answer".to_owned()))
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
