//! Whether the object store answers, for `/readyz`.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tokio::sync::Mutex;

use super::key::BlobId;
use crate::app::App;

/// How long an answer stands: balancers ask often, and every question costs a request.
const STANDS: Duration = Duration::from_secs(10);
/// How long the store may take.
const BOUND: Duration = Duration::from_secs(2);
/// The id that is asked for. There need be no such object.
const PROBE: &str = "readiness";

/// What the store said last, and when.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Option<(Instant, Json)>>);

impl Readiness {
    /// How the store stands, as far as one question tells: `{"ok": true}`, or with what it said.
    pub(crate) async fn told(&self, app: &App) -> Json {
        let mut last = self.0.lock().await;
        if let Some((at, told)) = last.as_ref()
            && at.elapsed() < STANDS
        {
            return told.clone();
        }
        let told = match tokio::time::timeout(BOUND, ask(app)).await {
            Ok(told) => told,
            Err(_) => json!({ "ok": false, "code": "Timeout" }),
        };
        *last = Some((Instant::now(), told.clone()));
        told
    }
}

async fn ask(app: &App) -> Json {
    let Ok(id) = BlobId::parse(PROBE) else { return Json::Null };
    let asked = match app.blobs() {
        Ok(store) => store.head(&id).await.map(|_| ()),
        Err(error) => Err(error),
    };
    match asked {
        Ok(()) => json!({ "ok": true }),
        Err(error) => {
            let (code, retryability) = (error.code.name(), error.retryability().name());
            tracing::warn!(code, retryability, reason = error.message, "the object store is not well");
            json!({ "ok": false, "code": code, "retryability": retryability })
        }
    }
}
