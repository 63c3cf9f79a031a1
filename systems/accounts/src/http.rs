//! The service's routes. Every answer is JSON with `ok`, but for `/metrics`.

mod account_ref;
mod answer;
mod book_routes;
mod call;
mod figures;
mod identity_routes;
mod operator_routes;
mod pixbook_routes;
mod session_routes;
mod turn;
mod workspace_routes;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{delete, get, patch, post, put};

pub(crate) use answer::Refusal;
pub(crate) use figures::RequestFigures;

use crate::app::App;

/// All routes of a service.
pub fn router(app: Arc<App>) -> Router {
    let account = Router::new()
        .route("/session", get(session_routes::session))
        .route("/workspace", get(workspace_routes::workspace).patch(workspace_routes::rename))
        .route("/users", get(identity_routes::users).post(identity_routes::create))
        .route("/users/{id}", patch(identity_routes::update_user))
        .route("/users/{id}/identity", delete(identity_routes::remove_user))
        .route(
            "/identities",
            get(identity_routes::identities).post(identity_routes::create).delete(identity_routes::reset),
        )
        .route(
            "/identities/{id}",
            patch(identity_routes::update_identity).delete(identity_routes::remove_identity),
        )
        .route("/books", get(book_routes::books).post(book_routes::create))
        .route("/books/{id}", patch(book_routes::update_book).delete(book_routes::remove_book))
        .route("/pixbooks", get(book_routes::pixbooks).post(book_routes::create))
        .route("/pixbooks/{id}", patch(book_routes::update_pixbook).delete(book_routes::remove_pixbook))
        .route("/pixbook", get(pixbook_routes::look));
    let snapshots = Router::new()
        .route("/v1/account/pixbook/snapshot", put(pixbook_routes::save))
        .layer(DefaultBodyLimit::max(call::SNAPSHOT_BYTES_MAX));
    Router::new()
        .nest("/v1/account", account)
        .route("/v1/auth/sign-up", post(session_routes::sign_up))
        .route("/v1/auth/sign-in", post(session_routes::sign_in))
        .route("/v1/auth/sign-out", post(session_routes::sign_out))
        .layer(DefaultBodyLimit::max(call::BODY_BYTES_MAX))
        .merge(snapshots)
        .route("/healthz", get(operator_routes::healthz))
        .route("/readyz", get(operator_routes::readyz))
        .route("/metrics", get(operator_routes::metrics))
        .method_not_allowed_fallback(async || {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "This method is not allowed here.")
        })
        .fallback(async || Refusal::not_found("There is nothing here."))
        .layer(middleware::from_fn_with_state(app.clone(), figures::observe))
        .with_state(app)
}
