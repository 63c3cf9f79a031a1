//! `accounts serve`.

use std::process::ExitCode;
use std::sync::Arc;

use accounts::app::App;
use accounts::config::Config;
use accounts::flags::environments;
use accounts::serve::serve;
use serving::{Ending, listen};

use super::{FAILED, USAGE, failed, say};

/// Serves with what the environment says.
pub(super) async fn run() -> ExitCode {
    let env = |name: &str| std::env::var(name).ok();
    let config = match Config::read(&env) {
        Ok(config) => config,
        Err(error) => return failed(&error.to_string(), USAGE),
    };
    let ending = match Ending::take() {
        Ok(ending) => ending,
        Err(error) => return failed(&error.to_string(), FAILED),
    };
    let listener = match listen(config.listen).await {
        Ok(listener) => listener,
        Err(error) => return failed(&error.to_string(), FAILED),
    };
    let app = match App::start(&config, environments(&env)).await {
        Ok(app) => Arc::new(app),
        Err(error) => return failed(&error.to_string(), FAILED),
    };
    let place = listener.local_addr().map_or_else(|_| config.listen.to_string(), |at| at.to_string());
    say(&format!("listening on http://{place}"));
    match serve(app, listener, ending.told()).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(open) => failed(&format!("{open} requests were cut off"), FAILED),
        Err(error) => failed(&error.to_string(), FAILED),
    }
}
