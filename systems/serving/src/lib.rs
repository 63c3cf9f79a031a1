//! How the services take connections, until they are told to end.
//!
//! What is the same for all of them: an address that is taken before anything else begins, connections that answer at
//! once, a bound on how long the head of a request may take, and an end in good order. What a service does meanwhile,
//! and once nobody asks it any more, is its own business.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::serve::{Listener as _, ListenerExt as _};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long open requests may take to end once the service was told to end.
pub const DRAIN: Duration = Duration::from_secs(20);

/// How long the head of a request may take, where a service says nothing else.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a service does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address or port")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// Nobody could tell the service to end.
    #[error("signals cannot be taken: {0}")]
    Signals(std::io::Error),
    /// Nobody takes connections any more.
    #[error("serving ended: {0}; what is logged above says why")]
    Broken(tokio::task::JoinError),
}

/// SIGTERM and SIGINT, taken before the service says that it serves: it is never told to end unheard.
#[derive(Debug)]
pub struct Ending {
    terminated: Signal,
    interrupted: Signal,
}

impl Ending {
    /// Takes the signals from now on.
    ///
    /// # Errors
    /// [`ServeError::Signals`].
    pub fn take() -> Result<Self, ServeError> {
        let terminated = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
        let interrupted = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
        Ok(Self { terminated, interrupted })
    }

    /// Resolves when one of them has come.
    pub async fn told(mut self) {
        tokio::select! {
            _ = self.terminated.recv() => {}
            _ = self.interrupted.recv() => {}
        }
        tracing::info!("told to end: no new requests");
    }
}

/// Takes an address.
///
/// # Errors
/// [`ServeError::Listen`].
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })
}

/// Serves until `end` resolves; then takes no new connection and waits for open requests, for [`DRAIN`] at most.
/// Returns whether all of them ended in time.
///
/// A connection on which the head of a request does not come within `head_timeout` is closed, be it the first one or the
/// one after another: whoever sends slowly, or nothing, keeps no connection.
///
/// # Errors
/// [`ServeError::Broken`].
pub async fn serve(
    listener: TcpListener,
    router: Router,
    head_timeout: Duration,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<bool, ServeError> {
    let (ended, told) = oneshot::channel();
    let mut serving = tokio::spawn(connections(listener, router, head_timeout, async move {
        end.await;
        let _nobody_waits = ended.send(());
    }));
    let served = tokio::select! {
        served = &mut serving => Some(served),
        _ = told => timeout(DRAIN, &mut serving).await.ok(),
    };
    match served {
        Some(Ok(())) => Ok(true),
        Some(Err(error)) => Err(ServeError::Broken(error)),
        None => {
            serving.abort();
            Ok(false)
        }
    }
}

/// Takes connections until `end` resolves, and waits until those that are open have ended. Dropped before that, it ends
/// them.
async fn connections(
    listener: TcpListener,
    router: Router,
    head_timeout: Duration,
    end: impl Future<Output = ()> + Send,
) {
    // An answer goes out at once, and waits for no acknowledgement of the one before.
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
