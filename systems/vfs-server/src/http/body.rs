//! JSON bodies: bounded in bytes and in depth.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde_json::Value as Json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::answer::ApiError;
use crate::app::App;

/// How deeply a body's arrays and objects may be nested: what the parser of JSON stands.
pub const JSON_DEPTH_MAX: usize = 127;

/// Bytes from which on a body is a large one: read into values, it takes many times of them.
const LARGE_BYTES: usize = 256 << 10;
/// Large bodies that one instance works on at a time.
const LARGE_BODIES_MAX: usize = 8;
/// How long a large body waits for the others.
const LARGE_BODY_WAIT: Duration = Duration::from_secs(2);

/// The places of large bodies.
#[derive(Debug, Clone)]
pub(crate) struct BodyPlaces(Arc<Semaphore>);

impl Default for BodyPlaces {
    fn default() -> BodyPlaces {
        BodyPlaces(Arc::new(Semaphore::new(LARGE_BODIES_MAX)))
    }
}

/// The place of one body, for as long as its request is worked on. Small ones need none.
#[derive(Debug)]
pub struct BodyPlace {
    _held: Option<OwnedSemaphorePermit>,
}

impl BodyPlaces {
    async fn take(&self, bytes: usize) -> Result<BodyPlace, ApiError> {
        if bytes < LARGE_BYTES {
            return Ok(BodyPlace { _held: None });
        }
        match timeout(LARGE_BODY_WAIT, self.0.clone().acquire_owned()).await {
            Ok(Ok(place)) => Ok(BodyPlace { _held: Some(place) }),
            _ => Err(ApiError::unavailable("Too many large requests", 2)),
        }
    }
}

/// A body of JSON. An empty one is null, so that routes answer it as they answer what is no object.
#[derive(Debug)]
pub struct JsonBody(pub Json, pub BodyPlace);

impl FromRequest<Arc<App>> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<JsonBody, ApiError> {
        let bytes = Bytes::from_request(request, app).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "Request body is too large")
            } else {
                ApiError::bad("Request body could not be read")
            }
        })?;
        // Not before it is there: whoever sends slowly keeps no place.
        let place = app.body_places().take(bytes.len()).await?;
        Ok(JsonBody(read(&bytes)?, place))
    }
}

fn read(bytes: &[u8]) -> Result<Json, ApiError> {
    if bytes.is_empty() {
        return Ok(Json::Null);
    }
    serde_json::from_slice(bytes).map_err(|error| {
        // The parser has no class of its own for this.
        if error.to_string().starts_with("recursion limit exceeded") {
            ApiError::bad("Request body is nested too deeply")
        } else {
            ApiError::bad("Request body is not valid JSON")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_bounded_and_what_is_no_json_is_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(nested(JSON_DEPTH_MAX).as_bytes()).is_ok());
        let deep = read(nested(JSON_DEPTH_MAX + 1).as_bytes()).unwrap_err();
        assert_eq!(deep, ApiError::bad("Request body is nested too deeply"));
        assert!(read(nested(1_000_000).as_bytes()).is_err());
        for body in [&b"{"[..], b"nul", b"\xff", b"{}{}", b"{\"a\":1e999}", b"\"\\ud800\""] {
            assert_eq!(read(body).unwrap_err(), ApiError::bad("Request body is not valid JSON"), "{body:?}");
        }
        assert_eq!(read(b"").unwrap(), Json::Null);
    }
}
