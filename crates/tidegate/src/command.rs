//! One file a command. Each reads its arguments, asks the engine, and has the answer rendered.

mod approve;
mod audit;
mod check;
mod decide;
mod doctor;
mod events;
mod manual;
mod plan;
mod recheck;
mod report;
mod request;
mod rollback;
mod run;
mod sessions;
mod status;

use std::path::PathBuf;

use crate::arguments::Command;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::screen::Screen;

/// Every command's name, for advice that names one.
pub(crate) const NAMES: [&str; 22] = [
    "check",
    "plan",
    "run",
    "status",
    "events",
    "report",
    "stop",
    "pause",
    "resume",
    "knob",
    "approve",
    "amend",
    "accept-drift",
    "adopt",
    "abandon",
    "recheck",
    "rollback",
    "doctor",
    "audit",
    "sessions",
    "completions",
    "man",
];

/// Does what the command line asks.
///
/// # Errors
/// Why nothing came of it.
pub(crate) async fn perform(screen: &Screen, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Check(arguments) => check::perform(screen, &arguments),
        Command::Plan(arguments) => plan::perform(screen, &arguments.page, &arguments.input).await,
        Command::Run(arguments) => run::perform(screen, &arguments).await,
        Command::Status(arguments) => status::perform(screen, &arguments).await,
        Command::Events(arguments) => events::perform(screen, &arguments).await,
        Command::Report(arguments) => report::perform(screen, &arguments).await,
        Command::Stop(arguments) => request::stop(screen, &arguments).await,
        Command::Pause(arguments) => request::pause(screen, &arguments).await,
        Command::Resume(arguments) => request::resume(screen, &arguments).await,
        Command::Knob(arguments) => request::knob(screen, &arguments).await,
        Command::Approve(arguments) => approve::perform(screen, &arguments).await,
        Command::Amend(arguments) => decide::amend(screen, &arguments).await,
        Command::AcceptDrift(arguments) => decide::accept_drift(screen, &arguments).await,
        Command::Adopt(arguments) => decide::adopt(screen, &arguments).await,
        Command::Abandon(arguments) => decide::abandon(screen, &arguments).await,
        Command::Recheck(arguments) => recheck::perform(screen, &arguments).await,
        Command::Rollback(arguments) => rollback::perform(screen, &arguments).await,
        Command::Doctor(arguments) => doctor::perform(screen, &arguments).await,
        Command::Audit(arguments) => audit::perform(screen, &arguments).await,
        Command::Sessions(arguments) => sessions::perform(screen, &arguments).await,
        Command::Completions(arguments) => manual::completions(screen, arguments.shell),
        Command::Man(arguments) => manual::man(screen, arguments.folder.as_deref()),
    }
}

/// The page that the command line names, for advice; `None` if it stands in the environment or there is none.
pub(crate) fn page_of(command: &Command) -> Option<PathBuf> {
    let page = match command {
        Command::Check(arguments) => &arguments.page,
        Command::Plan(arguments) => &arguments.page.page,
        Command::Run(arguments) => &arguments.page.page,
        Command::Status(arguments) => &arguments.page.page,
        Command::Events(arguments) => &arguments.page.page,
        Command::Report(arguments) => &arguments.page.page,
        Command::Stop(arguments) | Command::Pause(arguments) | Command::Resume(arguments) => {
            &arguments.page.page
        }
        Command::Knob(arguments) => &arguments.request.page.page,
        Command::Approve(arguments) => &arguments.request.page.page,
        Command::Amend(arguments) | Command::Abandon(arguments) => &arguments.page.page,
        Command::AcceptDrift(arguments) => &arguments.decide.page.page,
        Command::Adopt(arguments) => &arguments.decide.page.page,
        Command::Recheck(arguments) => &arguments.page.page,
        Command::Rollback(arguments) => &arguments.page.page,
        Command::Doctor(arguments) => &arguments.page.page,
        Command::Audit(arguments) => audit::page_of(arguments)?,
        Command::Sessions(arguments) => &arguments.page,
        Command::Completions(_) | Command::Man(_) => return None,
    };
    let from_environment =
        std::env::var_os("TIDEGATE_RUNBOOK").is_some_and(|known| known == page.as_os_str());
    (!from_environment).then(|| page.clone())
}
