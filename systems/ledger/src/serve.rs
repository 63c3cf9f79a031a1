//! Serving until told to end.

use std::future::Future;
use std::sync::Arc;

use serving::{HEAD_TIMEOUT, ServeError};
use tokio::net::TcpListener;

use crate::app::App;
use crate::http::router;

/// Serves until `end` resolves, and ends in good order. Returns whether every open request ended in time.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<bool, ServeError> {
    serving::serve(listener, router(app), HEAD_TIMEOUT, end).await
}
