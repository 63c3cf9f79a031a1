//! What a request is answered.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::bounds::TOTAL_MAX_MICRO;
use crate::operations::LedgerError;
use crate::outcome::{Outcome, Reason};

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    reason: &'static str,
    more: Map<String, Value>,
}

impl ApiError {
    /// A status and the word of its reason.
    #[must_use]
    pub fn new(status: StatusCode, reason: &'static str) -> ApiError {
        ApiError { status, reason, more: Map::new() }
    }

    /// 400, with what is wrong.
    #[must_use]
    pub fn bad(what: &str) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST").with("what", what.into())
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> ApiError {
        self.more.insert(name.to_owned(), value);
        self
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> ApiError {
        let refused = match &error {
            error if error.is_beyond() => {
                let limit = ("limitMicro", TOTAL_MAX_MICRO.into());
                Some(
                    ApiError::new(StatusCode::CONFLICT, Reason::LimitExceeded.as_str())
                        .with(limit.0, limit.1),
                )
            }
            LedgerError::Store(failure) => match failure.sqlstate() {
                // What the database will not hold: an id of another shape, a number out of range.
                Some("22003" | "22P02" | "22021" | "23514" | "LG009") => {
                    Some(ApiError::bad("a value is out of range"))
                }
                Some("23505") => Some(ApiError::new(StatusCode::CONFLICT, "ALREADY_THERE")),
                _ => None,
            },
            LedgerError::NoSystem | LedgerError::Blind { .. } | LedgerError::Schema => {
                Some(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "NOT_CONFIGURED"))
            }
            LedgerError::Pool(_) | LedgerError::Crowded | LedgerError::Held | LedgerError::KeysUnread => {
                Some(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "BUSY"))
            }
            LedgerError::Answer(_) => None,
        };
        if let Some(refused) = refused {
            return refused;
        }
        tracing::error!(error = error.told(), "a request failed");
        // Whether it was done is not known: the same key again says so.
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN_OUTCOME")
            .with("what", "ask again with the same key".into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = Map::new();
        body.insert("reason".to_owned(), Value::from(self.reason));
        body.extend(self.more);
        json(self.status, &Value::Object(body))
    }
}

/// The answer to an operation.
pub(super) fn outcome(outcome: Outcome) -> Response {
    match outcome {
        Outcome::Done(value) => json(StatusCode::OK, &value),
        Outcome::Refused(reason, more) => {
            let status = StatusCode::from_u16(reason.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            ApiError { status, reason: reason.as_str(), more }.into_response()
        }
    }
}

/// An answer of JSON.
pub(super) fn json(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
