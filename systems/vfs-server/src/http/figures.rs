//! How many requests there were, how they ended, and how long they took.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{Method, StatusCode};

/// Routes, methods and statuses that are told apart; there are fewer.
const KINDS_MAX: usize = 1_000;
const KNOWN_METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Figures of the requests since the start.
#[derive(Debug, Default)]
pub(crate) struct RequestFigures {
    ended: Mutex<BTreeMap<(String, String, u16), Ended>>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Ended {
    count: u64,
    micros: u64,
}

impl RequestFigures {
    /// Counts an answer.
    pub(super) fn note(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let method = if KNOWN_METHODS.contains(&method.as_str()) { method.as_str() } else { "other" };
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = (method.to_owned(), route.to_owned(), status.as_u16());
        if ended.len() >= KINDS_MAX && !ended.contains_key(&kind) {
            return;
        }
        let figures = ended.entry(kind).or_default();
        figures.count = figures.count.saturating_add(1);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        figures.micros = figures.micros.saturating_add(micros);
    }

    /// The figures in the text format of Prometheus.
    pub(super) fn to_prometheus(&self) -> String {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut text = String::from(
            "# HELP vfs_requests_total Requests that were answered.\n# TYPE vfs_requests_total counter\n",
        );
        // Writing to a String cannot fail.
        for ((method, route, status), figures) in &ended {
            let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
            let _ = writeln!(text, "vfs_requests_total{{{labels}}} {}", figures.count);
        }
        text.push_str(
            "# HELP vfs_request_microseconds_total Time that they took together.\n\
             # TYPE vfs_request_microseconds_total counter\n",
        );
        for ((method, route, status), figures) in &ended {
            let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
            let _ = writeln!(text, "vfs_request_microseconds_total{{{labels}}} {}", figures.micros);
        }
        text
    }
}
