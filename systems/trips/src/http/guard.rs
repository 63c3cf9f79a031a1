//! What is judged before any route: whether the request comes from where it says, and whether its body may be one.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::BODY_BYTES_MAX;
use super::identity::{bearer, cookie};
use super::reply::Failure;

/// How deep a body is looked into.
const DEPTH_MAX: usize = 64;

/// Names of fields that a body may not have: they would change objects of those who merge it.
const FORBIDDEN_FIELDS: [&str; 3] = ["__proto__", "constructor", "prototype"];

/// Refuses a change that another site may have sent, a body that is too large, and one with forbidden fields.
///
/// A program's token is not sent by a browser on its own, so it needs nothing more. JSON is not sent across sites without
/// asking first, so a JSON type with an origin of this host, or none, stands for the form token. A form needs the token:
/// the cookie `csrf_token` and the header `x-csrf-token` must be equal.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    if !is_wanted(request.headers()) {
        return Failure::new(StatusCode::FORBIDDEN, "CSRF validation failed").into_response();
    }
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, BODY_BYTES_MAX).await else {
        return Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large").into_response();
    };
    if let Ok(value) = serde_json::from_slice::<Value>(&bytes)
        && !is_legal(&value, DEPTH_MAX)
    {
        return Failure::bad("Invalid request body").into_response();
    }
    next.run(Request::from_parts(parts, Body::from(bytes))).await
}

fn is_wanted(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if bearer(headers).is_some() {
        return true;
    }
    let sent = text("x-csrf-token").filter(|token| !token.is_empty());
    if sent.is_some() && sent == cookie(headers, "csrf_token").as_deref() {
        return true;
    }
    let kind = text(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let is_json =
        kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    let is_same_site = text("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    let host = text(header::HOST.as_str()).unwrap_or_default();
    let is_same_origin = text(header::ORIGIN.as_str()).is_none_or(|origin| {
        origin.split_once("://").is_some_and(|(_, of)| !host.is_empty() && of.eq_ignore_ascii_case(host))
    });
    is_json && is_same_site && is_same_origin
}

fn is_legal(value: &Value, depth: usize) -> bool {
    match value {
        _ if depth == 0 => false,
        Value::Array(items) => items.iter().all(|item| is_legal(item, depth - 1)),
        Value::Object(fields) => fields
            .iter()
            .all(|(name, value)| !FORBIDDEN_FIELDS.contains(&name.as_str()) && is_legal(value, depth - 1)),
        _ => true,
    }
}
