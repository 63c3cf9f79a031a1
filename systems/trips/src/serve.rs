//! Serving until told to end, and ending in good order.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{interval, timeout};

use crate::app::App;
use crate::deletion;
use crate::http::router;
use crate::keyspace;

/// How long open requests may take to end once the service was told to end.
pub const DRAIN: Duration = Duration::from_secs(20);

/// Expired entries that are removed at once.
const SWEPT_MAX: usize = 1_000;

/// How often what was counted is added to the store, and what has expired is removed from it.
const FLUSH_EVERY: Duration = Duration::from_secs(10);

/// Why the service ended that should not have.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another --listen")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The listener broke.
    #[error("serving ended: {0}")]
    Serve(std::io::Error),
}

/// Takes an address.
///
/// # Errors
/// [`ServeError::Listen`].
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })
}

/// Serves until `end` resolves; then takes no new connection and waits for open requests. Returns whether all of them
/// ended in time.
///
/// # Errors
/// [`ServeError::Serve`].
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
    let (ended, told) = tokio::sync::oneshot::channel();
    let serving = axum::serve(listener, router(Arc::clone(&app))).with_graceful_shutdown(async move {
        end.await;
        let _nobody_waits = ended.send(());
    });
    let flushing = tokio::spawn(flush(Arc::clone(&app)));
    let mut serving = tokio::spawn(serving.into_future());
    let served = tokio::select! {
        served = &mut serving => Some(served),
        _ = told => timeout(DRAIN, &mut serving).await.ok(),
    };
    flushing.abort();
    if let Err(error) = app.metrics().flush(app.store().as_ref(), &keyspace::migrations()).await {
        tracing::warn!(%error, "legacy reads of the last seconds were not counted");
    }
    match served {
        Some(Ok(Err(error))) => Err(ServeError::Serve(error)),
        Some(_) => Ok(true),
        None => {
            serving.abort();
            Ok(false)
        }
    }
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
