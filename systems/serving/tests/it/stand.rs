//! A service with two routes: one answers at once, the other when it is told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use serving::{ServeError, listen, serve};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::JoinHandle;

/// How long a test waits for what must come.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// The service, served until it is told to end.
pub(crate) struct Stand {
    pub(crate) address: SocketAddr,
    /// Told when a request for `/held` has begun.
    pub(crate) begun: Arc<Notify>,
    /// Each permit lets one request for `/held` be answered.
    pub(crate) let_go: Arc<Semaphore>,
    pub(crate) end: oneshot::Sender<()>,
    pub(crate) served: JoinHandle<Result<bool, ServeError>>,
}

impl Stand {
    pub(crate) async fn new(head_timeout: Duration) -> Self {
        let (begun, let_go) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
        let (tell, hold) = (begun.clone(), let_go.clone());
        let held = move || async move {
            tell.notify_one();
            drop(hold.acquire().await);
            "held"
        };
        let router = Router::new()
            .route("/at-once", get(async || "here"))
            .route("/said", post(async |body: String| body))
            .route("/held", get(held));
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, told) = oneshot::channel();
        let until = async move { drop(told.await) };
        let served = tokio::spawn(serve(listener, router, head_timeout, until));
        Self { address, begun, let_go, end, served }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// What comes next on a connection; nothing: it was closed; `None`: nothing came within this time.
pub(crate) async fn heard(connection: &mut TcpStream, within: Duration) -> Option<String> {
    let mut bytes = vec![0; 4_096];
    let read = tokio::time::timeout(within, connection.read(&mut bytes)).await.ok()?;
    // A connection that is reset is closed, too.
    let read = read.unwrap_or(0);
    Some(String::from_utf8_lossy(&bytes[..read]).into_owned())
}
