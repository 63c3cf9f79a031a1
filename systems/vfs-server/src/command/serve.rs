//! `vfs-server serve`.

use std::process::ExitCode;
use std::sync::Arc;

use serving::{Ending, listen};
use vfs_server::app::{App, AppError};
use vfs_server::config::Config;
use vfs_server::serve::serve;

use super::{FAILED, USAGE, failed, say};

/// Serves with what the environment says.
pub(super) async fn run() -> ExitCode {
    let config = match Config::read(&|name: &str| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(error) => return failed(&error.to_string(), USAGE),
    };
    let ending = match Ending::take() {
        Ok(ending) => ending,
        Err(error) => return failed(&error.to_string(), FAILED),
    };
    let address = config.listen;
    let app = match App::start(config).await {
        Ok(app) => Arc::new(app),
        Err(error @ AppError::Blobs(_)) => return failed(&error.to_string(), USAGE),
        Err(error) => return failed(&error.to_string(), FAILED),
    };
    let listener = match listen(address).await {
        Ok(listener) => listener,
        Err(error) => return failed(&error.to_string(), FAILED),
    };
    let place = listener.local_addr().map_or_else(|_| address.to_string(), |at| at.to_string());
    say(&format!("listening on http://{place}"));
    // The connections are tasks of their own, and may run on any thread.
    match serve(app, listener, ending.told()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => failed("requests were cut off", FAILED),
        Err(error) => failed(&error.to_string(), FAILED),
    }
}
