//! The service over HTTP.

mod admin;
mod auth;
mod guard;
mod identity;
mod orders;
mod records;
mod reply;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::app::App;
use crate::waiting;
use reply::Failure;

/// Most bytes of a body: 1 MiB.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    let of_users = Router::new().merge(auth::routes()).merge(records::routes()).merge(orders::routes());
    Router::new()
        .merge(of_users.layer(from_fn(in_front)))
        .merge(admin::routes())
        .layer(from_fn(guard::guard))
        .route("/health", get(|| async { "ok" }))
        .route("/ready", get(ready))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(|| async { Failure::new(StatusCode::NOT_FOUND, "Not found") })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(app)
}

/// A user waits for the answer of these.
async fn in_front(request: Request, next: Next) -> Response {
    waiting::request(next.run(request)).await
}

/// Whether the store answers.
async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, Failure> {
    app.reads_legacy().await?;
    Ok("ready")
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics().render()).into_response()
}
