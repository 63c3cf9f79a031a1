//! Serving until told to end, and ending in good order.

use std::future::Future;
use std::sync::Arc;

pub use serving::{ServeError, listen};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::app::App;
use crate::http::router;
use crate::instances;
use crate::share::watch_ends;

/// Serves until `end` resolves; then takes no new connection, waits for open requests, and leaves the list of
/// instances. Returns whether every request ended in time.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<bool, ServeError> {
    let (ended, told) = watch::channel(false);
    let beating = tokio::spawn(instances::beat(app.clone(), told.clone()));
    let ends = tokio::spawn(watch_ends(app.clone(), told.clone()));
    let listening = tokio::spawn(app.pulse().clone().listen(app.config().database.clone(), told.clone()));
    let ending = app.clone();
    let head_timeout = app.config().head_timeout;
    let served = serving::serve(listener, router(app.clone()), head_timeout, async move {
        end.await;
        ending.begin_ending();
        let _nobody_listens = ended.send(true);
    })
    .await;
    beating.abort();
    ends.abort();
    listening.abort();
    app.stop().await;
    served
}
