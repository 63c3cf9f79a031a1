//! Serving until told to end, and ending in good order.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serving::{HEAD_TIMEOUT, ServeError};
use tokio::net::TcpListener;
use tokio::time::interval;

use crate::app::App;
use crate::deletion;
use crate::http::router;
use crate::keyspace;

/// Expired entries that are removed at once.
const SWEPT_MAX: usize = 1_000;

/// How often what was counted is added to the store, and what has expired is removed from it.
const FLUSH_EVERY: Duration = Duration::from_secs(10);

/// Serves until `end` resolves; then takes no new connection and waits for open requests. Returns whether all of them
/// ended in time.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<bool, ServeError> {
    match deletion::resume_all(&app).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "deletions of accounts that were cut off are complete"),
        Err(error) => tracing::error!(%error, "deletions of accounts that were cut off were not taken up"),
    }
    let flushing = tokio::spawn(flush(Arc::clone(&app)));
    let served = serving::serve(listener, router(Arc::clone(&app)), HEAD_TIMEOUT, end).await;
    flushing.abort();
    if let Err(error) = app.metrics().flush(app.store().as_ref(), &keyspace::migrations()).await {
        tracing::warn!(%error, "legacy reads of the last seconds were not counted");
    }
    served
}

async fn flush(app: Arc<App>) {
    let mut ticks = interval(FLUSH_EVERY);
    loop {
        ticks.tick().await;
        if let Err(error) = app.metrics().flush(app.store().as_ref(), &keyspace::migrations()).await {
            tracing::warn!(%error, "legacy reads were not counted yet; they will be");
        }
        if let Err(error) = app.store().sweep(SWEPT_MAX).await {
            tracing::warn!(%error, "what has expired was not removed yet; it will be");
        }
    }
}
