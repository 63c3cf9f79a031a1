//! Around every request: its id and span, its figures, a net under it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;
use uuid::Uuid;

use super::answer::{ApiError, EPOCH_HEADER};
use crate::app::App;

/// The id of a request, given by the caller or by us.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of an id that a caller may give.
const REQUEST_ID_MAX: usize = 128;

/// Answers a request, whatever becomes of its route.
pub(super) async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "(none)".to_owned(), |path| path.as_str().to_owned());
    let method = request.method().clone();
    let id = request_id(&request);
    let span = tracing::info_span!("request", %method, route, request = %id);
    let mut response = unharmed(next.run(request)).instrument(span.clone()).await.unwrap_or_else(|()| {
        tracing::error!(parent: &span, "a request ended in a panic");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error").into_response()
    });
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.entry(EPOCH_HEADER).or_insert_with(|| HeaderValue::from(app.feed_epoch()));
    let (status, elapsed) = (response.status(), started.elapsed());
    app.figures().note(&method, &route, status, elapsed);
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(parent: &span, status = status.as_u16(), elapsed_ms, "a request was answered");
    response
}

/// The caller's id where it is plain, else a new one.
fn request_id(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    match given {
        Some(id) if (1..=REQUEST_ID_MAX).contains(&id.len()) && id.chars().all(plain) => id.to_owned(),
        _ => Uuid::new_v4().to_string(),
    }
}

/// What a future answers, or that it panicked. It is not asked again after a panic.
async fn unharmed<T>(future: impl Future<Output = T>) -> Result<T, ()> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Err(_) => Poll::Ready(Err(())),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer_as_any_other() {
        assert_eq!(unharmed(async { 1 }).await, Ok(1));
        let broken: Result<u8, ()> = unharmed(async {
            tokio::task::yield_now().await;
            panic!("for the test")
        })
        .await;
        assert_eq!(broken, Err(()));
    }
}
