//! The service's routes. Every answer is JSON, but for `/metrics`; every refusal is `{"reason": "<word>"}`, with what
//! there is to say of it.

mod answer;
mod caller;
mod figures;
mod operator_routes;
mod tenant_routes;
mod webhook_routes;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{get, post};

pub use answer::ApiError;
pub(crate) use figures::Figures;

use crate::app::App;

/// Bytes of a body; of a notice, far fewer.
const BODY_BYTES_MAX: usize = 256 << 10;
const NOTICE_BYTES_MAX: usize = 16 << 10;

/// All routes of the service.
pub fn router(app: Arc<App>) -> Router {
    let tenant = Router::new()
        .route("/lots", post(tenant_routes::mint))
        .route("/debits", post(tenant_routes::debit))
        .route("/debits/batch", post(tenant_routes::debit_many))
        .route("/credit-backs", post(tenant_routes::credit_back))
        .route("/reservations", post(tenant_routes::reserve))
        .route("/reservations/{id}/finalize", post(tenant_routes::finalize))
        .route("/reservations/{id}/release", post(tenant_routes::release))
        .route("/payments", post(tenant_routes::ask_payment))
        .route("/conservation", post(tenant_routes::conserve))
        .route("/balance", get(tenant_routes::balance))
        .route("/statement", get(tenant_routes::statement));
    Router::new()
        .nest("/v1/communities/{community}", tenant)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .route(
            "/webhooks/nowpayments",
            post(webhook_routes::nowpayments).layer(DefaultBodyLimit::max(NOTICE_BYTES_MAX)),
        )
        .route("/.well-known/jwks.json", get(operator_routes::keys))
        .route("/health", get(operator_routes::health))
        .route("/healthz", get(operator_routes::health))
        .route("/readyz", get(operator_routes::ready))
        .route("/metrics", get(operator_routes::metrics))
        .method_not_allowed_fallback(async || {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED")
        })
        .fallback(async || ApiError::new(StatusCode::NOT_FOUND, "NOT_FOUND"))
        .layer(middleware::from_fn_with_state(app.clone(), figures::around))
        .with_state(app)
}
