//! Serving until told to end, and ending in good order.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serving::{HEAD_TIMEOUT, ServeError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::app::App;
use crate::http::router;

/// How long the goodbye to the flags may take after that.
pub const GOODBYE: Duration = Duration::from_secs(5);
/// How often what was counted of the alias is kept.
const SAVE_EVERY: Duration = Duration::from_secs(2);

/// Serves until `end` resolves; then takes no new connection, waits for open requests, and leaves the flags. Returns
/// the requests that were cut off.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<u64, ServeError> {
    let (ended, told) = watch::channel(false);
    let saver = tokio::spawn(save_alias_uses(app.clone(), told));
    let idle_app = app.clone();
    let idle = tokio::spawn(async move { idle_app.end_idle_sessions().await });
    let served = serving::serve(listener, router(app.clone()), HEAD_TIMEOUT, async move {
        end.await;
        let _nobody_listens = ended.send(true);
    })
    .await;
    saver.abort();
    idle.abort();
    let open = app.stop(GOODBYE).await;
    served.map(|_| open)
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
