//! What the sync of orders keeps of a user, the sync itself, and the user's passkeys.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::Value;

use super::identity::reader;
use super::reply::{Failure, json as answer, object};
use crate::app::App;
use crate::sync;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/hughesnet", get(kept).put(settings))
        .route("/api/hughesnet/sync", post(run))
        .route("/api/auth/authenticators", get(passkeys))
}

async fn kept(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Failure> {
    let user = reader(&app, &headers).await?;
    Ok(answer(StatusCode::OK, &sync::kept(&app, &user).await?))
}

async fn settings(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Failure> {
    let user = reader(&app, &headers).await?;
    Ok(answer(StatusCode::OK, &sync::put_settings(&app, &user, object(&body)?).await?))
}

/// `{date?, orders?: [{id, …}]}`; the date is today where none is given.
async fn run(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Failure> {
    let user = reader(&app, &headers).await?;
    let fields = object(&body)?;
    let date = match fields.get("date") {
        None => None,
        Some(Value::String(date)) => Some(date.as_str()),
        Some(_) => return Err(Failure::bad("date must be a day such as 2026-03-01")),
    };
    let orders = match fields.get("orders") {
        None => &[],
        Some(Value::Array(orders)) => orders.as_slice(),
        Some(_) => return Err(Failure::bad("orders must be a list")),
    };
    Ok(answer(StatusCode::OK, &sync::run(&app, &user, date, orders).await?))
}

async fn passkeys(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Failure> {
    let user = reader(&app, &headers).await?;
    Ok(answer(StatusCode::OK, &sync::passkeys(&app, &user).await?))
}
