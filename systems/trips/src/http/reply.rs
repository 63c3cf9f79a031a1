//! Answers that are errors, and bodies that are read.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::app::AppError;

/// An error as it is answered: `{"error": …}`.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    error: String,
}

impl Failure {
    pub(super) fn new(status: StatusCode, error: &str) -> Self {
        Self { status, error: error.to_owned() }
    }

    pub(super) fn bad(error: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized")
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        let status = match &error {
            AppError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            AppError::Contended { .. } | AppError::IndexDiffers { .. } => StatusCode::CONFLICT,
            AppError::Absent { .. } => StatusCode::NOT_FOUND,
            AppError::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            AppError::Corrupt { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::error!(%error, "a request failed");
        }
        // What a key holds, and where the store is, is the operator's business.
        let told = match &error {
            AppError::Store(_) => "the store is not available; try again".to_owned(),
            AppError::Corrupt { .. } => "a stored value cannot be read".to_owned(),
            other => other.to_string(),
        };
        Self { status, error: told }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        json(self.status, &json!({ "error": self.error }))
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

/// A body that is an object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Failure::bad("the body must be a JSON object")),
        Err(_) => Err(Failure::bad("Invalid JSON")),
    }
}

/// A text field that must be there.
pub(super) fn text(fields: &Map<String, Value>, name: &str) -> Result<String, Failure> {
    let text = fields.get(name).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| Failure::bad(&format!("{name} must be a text")))
}
