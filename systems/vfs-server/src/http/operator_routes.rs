//! What operators and balancers ask.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::json;

use super::answer::{Answer, ApiError};
use crate::app::{App, SCHEMA_NEWEST_KNOWN, SCHEMA_OLDEST, schema_version};
use crate::auth::Caller;
use crate::blob::FAILURES;

/// `GET /healthz`: the process answers.
pub(super) async fn healthz() -> Answer {
    Answer::ok(json!({ "ok": true, "version": env!("CARGO_PKG_VERSION") }))
}

/// `GET /readyz`: whether requests should be sent here, and if not, every reason. How the object store stands is told
/// beside it: all instances share it, and files sync without it.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<Answer, ApiError> {
    let mut reasons: Vec<&str> = Vec::new();
    if app.token_secret().is_none() {
        reasons.push("JWT_SECRET is not set");
    }
    if *app.ending().borrow() {
        reasons.push("the server is ending");
    }
    let version = match app.pool().get().await {
        Ok(session) => schema_version(&session).await.map_err(|failure| failure.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match version {
        Ok(version) if version >= SCHEMA_OLDEST => {}
        Ok(_) => reasons.push("the database's schema is too old"),
        Err(error) => {
            tracing::warn!(error, "not ready");
            reasons.push("the database does not answer");
        }
    }
    let blobs = app.blob_readiness().told(&app).await;
    if reasons.is_empty() {
        return Ok(Answer::ok(json!({ "ready": true, "blobs": blobs })));
    }
    Err(ApiError::unavailable("Not ready", 1).with("reasons", json!(reasons)).with("blobs", blobs))
}

/// `GET /metrics`, in the text format of Prometheus.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let mut text = app.figures().to_prometheus();
    let status = app.pool().status();
    for (name, what, value) in [
        ("vfs_pool_sessions", "Sessions that are open to the database.", status.open),
        ("vfs_pool_sessions_idle", "Sessions that nobody uses.", status.idle),
        ("vfs_pool_waiting", "Requests that wait for a session.", status.waiting),
        ("vfs_pushes_waiting", "Pushes that wait for one of the same user.", app.push_lanes().waiting()),
    ] {
        // Writing to a String cannot fail.
        let _ = write!(text, "# HELP {name} {what}\n# TYPE {name} gauge\n{name} {value}\n");
    }
    let _ = write!(
        text,
        "# HELP vfs_feed_epoch The epoch of the feeds, as last heard of.\n# TYPE vfs_feed_epoch gauge\n\
         vfs_feed_epoch {}\n",
        app.feed_epoch()
    );
    text.push_str(&FAILURES.to_prometheus());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

/// `GET /v1/vfs/version`: what answers here, and which schema it stands on.
pub(super) async fn version(State(app): State<Arc<App>>, _: Caller) -> Result<Answer, ApiError> {
    let found = match app.pool().get().await {
        Ok(session) => schema_version(&session).await.map_err(|failure| failure.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let schema = found.map_err(|error| {
        tracing::error!(error, "the schema's version could not be read");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "Failed to read the version")
    })?;
    let answer = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "instance": app.config().instance,
        "schemaVersion": schema,
        "highestMigrationKnown": SCHEMA_NEWEST_KNOWN,
        "freezeEpochSeen": app.freeze_epoch(),
    });
    Ok(Answer::ok(answer).of_epoch(app.feed_epoch()))
}
