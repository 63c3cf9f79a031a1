//! How many requests there were, how they ended, and how long they took; and the bound of each.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::Refusal;
use crate::app::App;

/// How long a request may take in all.
const REQUEST_BOUND: Duration = Duration::from_secs(30);
/// Routes, methods and statuses that are told apart; there are fewer.
const KINDS_MAX: usize = 1_000;

/// Figures of the requests since the start.
#[derive(Debug, Default)]
pub(crate) struct RequestFigures {
    open: AtomicU64,
    ended: Mutex<BTreeMap<(String, String, u16), Ended>>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Ended {
    count: u64,
    micros: u64,
}

impl RequestFigures {
    fn add(&self, method: &str, route: &str, status: u16, took: Duration) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = (method.to_owned(), route.to_owned(), status);
        if ended.len() >= KINDS_MAX && !ended.contains_key(&kind) {
            return;
        }
        let figures = ended.entry(kind).or_default();
        figures.count = figures.count.saturating_add(1);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        figures.micros = figures.micros.saturating_add(micros);
    }

    /// The figures in the text format of Prometheus.
    pub(crate) fn to_prometheus(&self) -> String {
        let mut text = String::from(
            "# HELP accounts_requests_open Requests that are not answered yet.\n\
             # TYPE accounts_requests_open gauge\n",
        );
        // Writing to a String cannot fail.
        let _ = writeln!(text, "accounts_requests_open {}", self.open.load(Ordering::Relaxed));
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
        text.push_str(
            "# HELP accounts_requests_total Requests that were answered.\n# TYPE accounts_requests_total counter\n",
        );
        for ((method, route, status), figures) in &ended {
            let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
            let _ = writeln!(text, "accounts_requests_total{{{labels}}} {}", figures.count);
        }
        text.push_str(
            "# HELP accounts_request_microseconds_total Time that they took together.\n\
             # TYPE accounts_request_microseconds_total counter\n",
        );
        for ((method, route, status), figures) in &ended {
            let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
            let _ = writeln!(text, "accounts_request_microseconds_total{{{labels}}} {}", figures.micros);
        }
        text
    }
}

/// One open request, counted also when its client goes away.
struct Open<'a>(&'a AtomicU64);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a request and bounds its time.
pub(super) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let figures = app.figures();
    figures.open.fetch_add(1, Ordering::Relaxed);
    let _open = Open(&figures.open);
    let method = request.method().as_str();
    let method = if KNOWN_METHODS.contains(&method) { method } else { "other" }.to_owned();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let response = match tokio::time::timeout(REQUEST_BOUND, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::unavailable(
            "ACCOUNT_OUTCOME_UNKNOWN",
            "The request took too long; whether a change was kept is not known. Look before you try again.",
        )
        .into_response(),
    };
    figures.add(&method, &route, response.status().as_u16(), started.elapsed());
    response
}

const KNOWN_METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
