//! The program: reads the command line, asks the engine, shows what it answers. Nothing here decides anything.
//!
//! ```text
//! arguments ─► command::<name> ─► engine ─► render (text, JSON) ─► screen ─► stdout (data), stderr (talk)
//! ```

mod arguments;
mod command;
mod desk;
mod exit_code;
mod failure;
mod interrupt;
mod page;
mod prompt;
mod render;
mod screen;
mod watcher;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use arguments::{Arguments, Manner};
use failure::Failure;
use screen::Screen;

/// The variable with a filter for the log, stronger than `-v`.
const LOG_VARIABLE: &str = "TIDEGATE_LOG";

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    let screen = Screen::new(&arguments.manner);
    log_to(&screen, &arguments.manner);
    let page = command::page_of(&arguments.command);
    let ended = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("the runtime cannot be started: {error}")))
        .and_then(|runtime| {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, command::perform(&screen, arguments.command))
        });
    screen.stand(None);
    let code = match ended {
        Ok(code) => code,
        Err(failure) => render::failure::show(&screen, &failure, page.as_deref()),
    };
    code.into()
}

fn log_to(screen: &Screen, manner: &Manner) {
    let level = match (manner.quiet, manner.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, _) => LevelFilter::DEBUG,
    };
    let filter =
        EnvFilter::builder().with_default_directive(level.into()).with_env_var(LOG_VARIABLE).from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_target(false)
        .with_writer(screen.clone())
        .init();
}
