//! Serving until told to end, and ending in good order.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::{Listener as _, ListenerExt as _};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::app::App;
use crate::http::router;
use crate::instances;
use crate::share::watch_ends;

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
    /// Nobody takes connections any more.
    #[error("serving ended: {0}; what is logged above says why")]
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
    let ends = tokio::spawn(watch_ends(app.clone(), told.clone()));
    let listening = tokio::spawn(app.pulse().clone().listen(app.config().database.clone(), told.clone()));
    let ending = app.clone();
    let serving = connections(listener, router(app.clone()), app.config().head_timeout, async move {
        end.await;
        ending.begin_ending();
        let _nobody_listens = ended.send(true);
    });
    let mut serving = tokio::spawn(serving);
    let served = tokio::select! {
        served = &mut serving => Some(served),
        _ = told.changed() => timeout(DRAIN, &mut serving).await.ok(),
    };
    if served.is_none() {
        serving.abort();
    }
    beating.abort();
    ends.abort();
    listening.abort();
    app.stop().await;
    match served {
        Some(Err(error)) => Err(ServeError::Serve(std::io::Error::other(error))),
        served => Ok(served.is_some()),
    }
}

/// Takes connections until `end` resolves, and waits until those that are open have ended. Dropped before that, it ends
/// them.
///
/// A connection on which the head of a request does not come within `head_timeout` is closed, be it the first one or the
/// one after another: whoever sends slowly, or nothing, keeps no connection.
async fn connections(
    listener: TcpListener,
    router: Router,
    head_timeout: Duration,
    end: impl Future<Output = ()> + Send,
) {
    // An event goes out at once, and waits for no acknowledgement of the one before.
    let mut listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head_timeout);
    let service = TowerToHyperService::new(router);
    let open = GracefulShutdown::new();
    let mut tasks = JoinSet::new();
    let mut end = pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            (connection, _) = listener.accept() => {
                let connection = http.serve_connection(TokioIo::new(connection), service.clone());
                let connection = open.watch(connection);
                tasks.spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "a connection ended early");
                    }
                });
            }
            Some(_) = tasks.join_next() => {}
        }
    }
    drop(listener);
    open.shutdown().await;
}
