//! What is counted of requests.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use tidegate_store::postgres::PoolStatus;

use crate::app::App;

/// Method, route and status.
type Key = (String, String, u16);

/// Requests by method, route and status: how many, and how long all of them took in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Figures(Mutex<BTreeMap<Key, (u64, u64)>>);

impl Figures {
    fn note(&self, key: Key, micros: u64) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = counted.entry(key).or_default();
        entry.0 += 1;
        entry.1 = entry.1.saturating_add(micros);
    }

    /// As Prometheus' text.
    pub(crate) fn render(&self, pool: &PoolStatus) -> String {
        let mut text = String::new();
        let families = [
            ("ledger_requests_total", "counter", "Requests, by method, route and status."),
            ("ledger_request_seconds_total", "counter", "Time that they took."),
        ];
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (at, (name, kind, help)) in families.into_iter().enumerate() {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for ((method, route, status), (count, micros)) in counted.iter() {
                let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
                let _ = if at == 0 {
                    writeln!(text, "{name}{{{labels}}} {count}")
                } else {
                    writeln!(text, "{name}{{{labels}}} {}.{:06}", micros / 1_000_000, micros % 1_000_000)
                };
            }
        }
        let name = "ledger_database_sessions";
        let _ =
            writeln!(text, "# HELP {name} Sessions of the pool.\n# TYPE {name} gauge\n{name} {}", pool.open);
        text
    }
}

/// Counts a request.
pub(super) async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str).to_owned();
    let method = match *request.method() {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE => {
            request.method().to_string()
        }
        // Whatever somebody makes up is one label.
        _ => "other".to_owned(),
    };
    let response = next.run(request).await;
    let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    app.figures().note((method, route, response.status().as_u16()), micros);
    response
}
