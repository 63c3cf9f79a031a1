//! What a request is answered.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

/// Names the epoch of the feeds, in every reply.
pub(crate) const EPOCH_HEADER: HeaderName = HeaderName::from_static("x-vfs-feed-epoch");

/// A good answer, of JSON.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    body: Content,
    epoch: Option<i32>,
}

#[derive(Debug)]
enum Content {
    Value(Json),
    Text(String),
}

impl Answer {
    /// An answer with a body.
    #[must_use]
    pub fn new(status: StatusCode, body: Json) -> Answer {
        Answer { status, body: Content::Value(body), epoch: None }
    }

    /// 200 with a body that is written without a detour, of an epoch that stands in it already.
    ///
    /// # Errors
    /// When it cannot be JSON.
    pub fn written(body: &impl Serialize, epoch: i32) -> Result<Answer, serde_json::Error> {
        Ok(Answer::text(serde_json::to_string(body)?, epoch))
    }

    /// 200 with a body that is JSON already, of an epoch that stands in it.
    #[must_use]
    pub fn text(body: String, epoch: i32) -> Answer {
        Answer { status: StatusCode::OK, body: Content::Text(body), epoch: Some(epoch) }
    }

    /// 200 with a body.
    #[must_use]
    pub fn ok(body: Json) -> Answer {
        Answer::new(StatusCode::OK, body)
    }

    /// Says which epoch of the feeds the answer is of, in its header and, where it is an object, as `feedEpoch`.
    #[must_use]
    pub fn of_epoch(mut self, epoch: i32) -> Answer {
        self.epoch = Some(epoch);
        if let Content::Value(Json::Object(fields)) = &mut self.body {
            fields.insert("feedEpoch".to_owned(), json!(epoch));
        }
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let body = match self.body {
            Content::Value(body) => body.to_string(),
            Content::Text(body) => body,
        };
        json_response(self.status, body, self.epoch)
    }
}

/// A request that was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    error: Cow<'static, str>,
    extra: Vec<(&'static str, Json)>,
    retry_after_s: Option<u64>,
    epoch: Option<i32>,
}

impl ApiError {
    /// A status and its text.
    #[must_use]
    pub fn new(status: StatusCode, error: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError { status, error: error.into(), extra: Vec::new(), retry_after_s: None, epoch: None }
    }

    /// 400.
    #[must_use]
    pub fn bad(error: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, error)
    }

    /// 401.
    #[must_use]
    pub fn unauthorized() -> ApiError {
        ApiError::new(StatusCode::UNAUTHORIZED, "Unauthorized")
    }

    /// 403.
    #[must_use]
    pub fn forbidden(error: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(StatusCode::FORBIDDEN, error)
    }

    /// 404.
    #[must_use]
    pub fn not_found(error: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, error)
    }

    /// 409.
    #[must_use]
    pub fn conflict(error: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(StatusCode::CONFLICT, error)
    }

    /// 503 with the seconds after which it may be tried again.
    #[must_use]
    pub fn unavailable(error: impl Into<Cow<'static, str>>, retry_after_s: u64) -> ApiError {
        let retry_after_s = Some(retry_after_s.max(1));
        ApiError { retry_after_s, ..ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error) }
    }

    /// Writes are frozen for so many seconds yet, or until somebody lets them in: it may be tried within the hour.
    #[must_use]
    pub fn frozen(seconds: u64) -> ApiError {
        ApiError::unavailable("Writes are frozen", seconds.min(3_600))
    }

    /// Adds a code, for programs.
    #[must_use]
    pub fn coded(self, code: &str) -> ApiError {
        self.with("code", json!(code))
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Json) -> ApiError {
        self.extra.push((name, value));
        self
    }

    /// Says which epoch of the feeds the answer is of.
    #[must_use]
    pub fn of_epoch(mut self, epoch: i32) -> ApiError {
        self.epoch = Some(epoch);
        self.with("feedEpoch", json!(epoch))
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The text.
    #[must_use]
    pub fn error(&self) -> &str {
        &self.error
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = Map::new();
        body.insert("error".to_owned(), Json::String(self.error.into_owned()));
        body.extend(self.extra.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let mut response = json_response(self.status, Json::Object(body).to_string(), self.epoch);
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

fn json_response(status: StatusCode, body: String, epoch: Option<i32>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(epoch) = epoch {
        headers.insert(EPOCH_HEADER, HeaderValue::from(epoch));
    }
    response
}
