//! Serving until told to end, and ending in good order.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::app::App;
use crate::http::router;
use crate::instances;

/// How long open requests may take to end once the server was told to end.
pub const DRAIN: Duration = Duration::from_secs(20);

/// Why the server ended that should not have.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another PORT or ADDRESS")]
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

/// Serves until `end` resolves; then takes no new connection, waits for open requests, and leaves the list of
/// instances. Returns whether every request ended in time.
///
/// # Errors
/// [`ServeError::Serve`].
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<bool, ServeError> {
    let (ended, mut told) = watch::channel(false);
    let beating = tokio::spawn(instances::beat(app.clone(), told.clone()));
    let listening = tokio::spawn(app.pulse().clone().listen(app.config().database.clone(), told.clone()));
    let ending = app.clone();
    // An event goes out at once, and waits for no acknowledgement of the one before.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
    });
    let serving = axum::serve(listener, router(app.clone())).with_graceful_shutdown(async move {
        end.await;
        ending.begin_ending();
        let _nobody_listens = ended.send(true);
    });
    let mut serving = tokio::spawn(serving.into_future());
    let served = tokio::select! {
        served = &mut serving => Some(served),
        _ = told.changed() => timeout(DRAIN, &mut serving).await.ok(),
    };
    if served.is_none() {
        serving.abort();
    }
    beating.abort();
    listening.abort();
    app.stop().await;
    match served {
        Some(Ok(Err(error))) => Err(ServeError::Serve(error)),
        served => Ok(served.is_some()),
    }
}
