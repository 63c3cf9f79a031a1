//! `run`: starts a run, or goes on with the one that is not final.

use std::cell::RefCell;
use std::rc::Rc;

use tidegate_engine::ending::Ending;
use tidegate_engine::observer::Observer;
use tidegate_engine::runner::{Opened, Purpose, Runner};
use tidegate_runbook::Name;

use crate::arguments::RunArguments;
use crate::command::plan;
use crate::desk::{self, Desk};
use crate::exit_code::{self, ExitCode};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::prompt;
use crate::render::ending;
use crate::screen::Screen;
use crate::watcher::Watcher;

pub(crate) async fn perform(screen: &Screen, arguments: &RunArguments) -> Result<ExitCode, Failure> {
    if !arguments.apply {
        return plan::perform(screen, &arguments.page, &arguments.input).await;
    }
    let actor = desk::actor(arguments.who.actor.as_deref(), "run --apply")?;
    let sets = desk::sets(&arguments.input.sets)?;
    let desk = Desk::open(screen, &arguments.page, &sets)?;
    let stage = arguments.stage.as_deref().map(|stage| manual_stage(&desk, stage)).transpose()?;
    let mut options = desk::options(Some(actor), &arguments.input, &sets)?;
    options.again = arguments.again;
    if !arguments.yes && !agreed(&desk, actor).await {
        return Err(Failure {
            code: exit_code::WAITING,
            kind: "declined",
            message: "not started; nothing was touched".to_owned(),
            next: vec!["Look first: tidegate plan".to_owned()],
        });
    }
    let interrupt = Interrupt::listen(screen)?;
    let watcher = Rc::new(RefCell::new(Watcher::new(&desk)));
    let observer: Rc<RefCell<dyn Observer>> = watcher.clone();
    let purpose = if stage.is_some() { Purpose::Manual } else { Purpose::Run };
    let opened = Runner::open(desk.program.clone(), desk.doors.clone(), &options, purpose, observer).await;
    let Opened { mut runner, .. } = opened.inspect_err(|_| watcher.borrow_mut().end())?;
    interrupt.stops(runner.stop_handle());
    let ending = match &stage {
        Some(stage) => runner.manual_stage(stage).await,
        None => runner.forward().await,
    };
    watcher.borrow_mut().end();
    Ok(finish(&desk, runner, ending).await)
}

/// Gives the lease back, then says how it ended.
pub(crate) async fn finish(desk: &Desk, runner: Runner, ending: Ending) -> ExitCode {
    let (run, head) = (runner.state().run, runner.head());
    runner.close().await;
    ending::show(desk, run, head, ending)
}

/// On a terminal a person says yes; elsewhere `--apply --actor` is the word.
async fn agreed(desk: &Desk, actor: &str) -> bool {
    if !desk.screen.can_ask() {
        return true;
    }
    let runbook = &desk.program.runbook;
    let place = desk
        .doors
        .address(desk.doors.home(), &tidegate_engine::doors::Entrance::Direct)
        .map_or_else(|_| desk.doors.home().to_string(), |address| address.redacted());
    prompt::yes(&desk.screen, &format!("Run {} ({}) against {place} as {actor}?", runbook.id, runbook.title))
        .await
}

fn manual_stage(desk: &Desk, stage: &str) -> Result<Name, Failure> {
    let runbook = &desk.program.runbook;
    let manual: Vec<&str> =
        runbook.stages.iter().filter(|stage| stage.manual).map(|stage| stage.id.as_str()).collect();
    let known = if manual.is_empty() { "none".to_owned() } else { manual.join(", ") };
    match runbook.stages.iter().find(|known| known.id.as_str() == stage) {
        Some(found) if found.manual => Ok(found.id.clone()),
        Some(_) => Err(Failure::usage(
            format!("--stage {stage}: stage {stage} is not manual; it runs in its place"),
            format!("Leave --stage out. Manual stages of this page: {known}."),
        )),
        None => Err(Failure::usage(
            format!("--stage {stage}: the page has no such stage"),
            format!("Manual stages of this page: {known}."),
        )),
    }
}
