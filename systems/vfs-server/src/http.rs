//! The server's routes. Every answer is JSON, but for `/metrics`, events and blobs; every refusal is
//! `{"error": "<text>"}`.

mod answer;
mod body;
mod crdt_routes;
mod event_routes;
mod figures;
mod item_routes;
mod key_routes;
mod operator_routes;
mod query;
mod register_route;
mod share_routes;
mod shell;
mod sync_routes;
mod user_places;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{delete, get, patch, post, put};

pub use answer::{Answer, ApiError};
pub(crate) use body::BodyPlaces;
pub use body::{BodyPlace, JSON_DEPTH_MAX, JsonBody};
pub(crate) use figures::RequestFigures;
pub use query::{PathId, PathIds, QueryParams, is_id, required};
pub(crate) use user_places::{UserPlace, UserPlaces};

use crate::app::App;
use crate::blob;

/// All routes of the server.
pub fn router(app: Arc<App>) -> Router {
    let vfs = Router::new()
        .route("/register", post(register_route::register))
        .route("/keys/me", get(key_routes::mine))
        .route("/keys", post(key_routes::keep))
        .route("/crdt/push", post(crdt_routes::push))
        .route("/crdt/sync", get(crdt_routes::pull))
        .route("/crdt/vfs-sync", get(crdt_routes::pull))
        .route("/crdt/snapshot", get(crdt_routes::snapshot))
        .route("/crdt/reconcile", post(crdt_routes::reconcile))
        .route("/crdt/guardrails", post(crdt_routes::guardrails))
        .route("/sync", get(sync_routes::pull))
        .route("/vfs-sync", get(sync_routes::pull))
        .route("/sync/reconcile", post(sync_routes::reconcile))
        .route("/vfs-sync/reconcile", post(sync_routes::reconcile))
        .route("/events", get(event_routes::events))
        .route("/items/lookup", post(item_routes::lookup))
        .route("/items/{id}/metadata", put(item_routes::set_metadata))
        .route("/items/{id}/shares", get(share_routes::list).post(share_routes::share))
        .route("/items/{id}/org-shares", post(share_routes::share_between_organizations))
        .route("/shares/{id}", patch(share_routes::change).delete(share_routes::take_back))
        .route("/org-shares/{id}", delete(share_routes::take_back_between_organizations))
        .route("/share-targets/search", get(share_routes::search))
        .route("/version", get(operator_routes::version))
        .merge(blob::routes());
    Router::new()
        .nest("/v1/vfs", vfs)
        .layer(DefaultBodyLimit::max(app.config().json_body_bytes))
        .route("/healthz", get(operator_routes::healthz))
        .route("/readyz", get(operator_routes::readyz))
        .route("/metrics", get(operator_routes::metrics))
        .method_not_allowed_fallback(async || {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
        })
        .fallback(async || ApiError::new(StatusCode::NOT_FOUND, "Not found"))
        .layer(middleware::from_fn_with_state(app.clone(), shell::around))
        .with_state(app)
}
