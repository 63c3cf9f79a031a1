//! Serving until told to end, and ending in good order.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::app::App;
use crate::http::router;

/// How long open requests may take to end once the service was told to end.
pub const DRAIN: Duration = Duration::from_secs(20);
/// How long the goodbye to the flags may take after that.
pub const GOODBYE: Duration = Duration::from_secs(5);
/// How often what was counted of the alias is kept.
const SAVE_EVERY: Duration = Duration::from_secs(2);

/// Why the service ended that should not have.
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

/// Serves until `end` resolves; then takes no new connection, waits for open requests, and leaves the flags. Returns
/// the requests that were cut off.
///
/// # Errors
/// [`ServeError::Serve`].
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<u64, ServeError> {
    let (ended, mut told) = watch::channel(false);
    let saver = tokio::spawn(save_alias_uses(app.clone(), told.clone()));
    let idle_app = app.clone();
    let idle = tokio::spawn(async move { idle_app.end_idle_sessions().await });
    let serving = axum::serve(listener, router(app.clone())).with_graceful_shutdown(async move {
        end.await;
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
    saver.abort();
    idle.abort();
    let open = app.stop(GOODBYE).await;
    match served {
        Some(Ok(Err(error))) => Err(ServeError::Serve(error)),
        _ => Ok(open),
    }
}

/// Keeps what is counted of the alias, until the service ends.
async fn save_alias_uses(app: Arc<App>, mut told: watch::Receiver<bool>) {
    loop {
        let ending = timeout(SAVE_EVERY, told.changed()).await.is_ok();
        app.save_alias_uses().await;
        if ending {
            return;
        }
    }
}
