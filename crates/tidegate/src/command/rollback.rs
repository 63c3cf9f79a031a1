//! `rollback`: shows the ways back with what each would lose, and goes back once that was accepted.

use std::cell::RefCell;
use std::rc::Rc;

use tidegate_engine::event::Back;
use tidegate_engine::loss::repeats;
use tidegate_engine::observer::Observer;
use tidegate_engine::runner::{BackPlan, Opened, Purpose, Runner};
use tidegate_runbook::Name;

use crate::arguments::{RollbackArguments, RunInput};
use crate::command::run::finish;
use crate::desk::{self, Desk};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::render::advice::with_page;
use crate::render::back::{self, WayBack, capital};
use crate::render::event::back_text;
use crate::screen::Screen;
use crate::watcher::Watcher;

/// The word for the state before the first step.
const START: &str = "start";

pub(crate) async fn perform(screen: &Screen, arguments: &RollbackArguments) -> Result<ExitCode, Failure> {
    let goes = arguments.apply || arguments.accept_loss.is_some();
    let actor = if goes {
        desk::actor(arguments.who.actor.as_deref(), "going back")?
    } else {
        arguments.who.actor.as_deref().unwrap_or("a look at the ways back")
    };
    let sets = desk::sets(&arguments.sets)?;
    let desk = Desk::open(screen, &arguments.page, &sets)?;
    let step = arguments.step.as_deref().map(|step| desk::name("--step", step)).transpose()?;
    let backs = backs(&desk, arguments)?;
    let options = desk::options(Some(actor), &RunInput::default(), &sets)?;
    let interrupt = Interrupt::listen(screen)?;
    let watcher = Rc::new(RefCell::new(Watcher::new(&desk)));
    let observer: Rc<RefCell<dyn Observer>> = watcher.clone();
    let opened =
        Runner::open(desk.program.clone(), desk.doors.clone(), &options, Purpose::Back, observer).await;
    let Opened { mut runner, .. } = opened.inspect_err(|_| watcher.borrow_mut().end())?;
    let mut ways = Vec::new();
    match &step {
        Some(step) => {
            ways.push(WayBack {
                about: format!("One step: {step}"),
                found: runner.plan_back_step(step).await,
            });
        }
        None => {
            for back in backs {
                let about = capital(&back_text(&back));
                ways.push(WayBack { about, found: runner.plan_back(back).await });
            }
        }
    }
    let chosen = if goes { choose(&desk, arguments, &ways) } else { Ok(None) };
    let plan = match chosen {
        Ok(Some(plan)) => plan,
        Ok(None) => {
            let exit_code = back::show(&desk, &runner, &ways);
            runner.close().await;
            return Ok(exit_code);
        }
        Err(failure) => {
            back::show(&desk, &runner, &ways);
            runner.close().await;
            return Err(failure);
        }
    };
    interrupt.stops(runner.stop_handle());
    let ending = runner.go_back(plan).await;
    watcher.borrow_mut().end();
    Ok(finish(&desk, runner, ending).await)
}

/// The ways back that the command line speaks of.
fn backs(desk: &Desk, arguments: &RollbackArguments) -> Result<Vec<Back>, Failure> {
    let runbook = &desk.program.runbook;
    let way = |way: &tidegate_runbook::Way| Back::Way { way: way.id.clone(), to: way.to.clone() };
    if let Some(name) = &arguments.way {
        let found = runbook.ways.iter().find(|way| way.id.as_str() == name);
        let names: Vec<&str> = runbook.ways.iter().map(|way| way.id.as_str()).collect();
        return found.map(|found| vec![way(found)]).ok_or_else(|| {
            Failure::usage(
                format!("--way {name}: the page has no such way"),
                format!(
                    "Its ways are: {}.",
                    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
                ),
            )
        });
    }
    let Some(to) = &arguments.to else {
        let mut backs = vec![Back::Undo { to: None }];
        backs.extend(runbook.ways.iter().map(way));
        return Ok(backs);
    };
    let to = destination(desk, to)?;
    let mut backs = vec![Back::Undo { to: to.clone() }];
    if !arguments.undo {
        backs.extend(runbook.ways.iter().filter(|way| way.to == to).map(way));
    }
    Ok(backs)
}

fn destination(desk: &Desk, to: &str) -> Result<Option<Name>, Failure> {
    if to == START {
        return Ok(None);
    }
    let stages = &desk.program.runbook.stages;
    let found = stages.iter().find(|stage| stage.id.as_str() == to && !stage.manual);
    let names: Vec<&str> =
        stages.iter().filter(|stage| !stage.manual).map(|stage| stage.id.as_str()).collect();
    found.map(|stage| Some(stage.id.clone())).ok_or_else(|| {
        Failure::usage(
            format!("--to {to}: the page has no such stage"),
            format!("Its stages are: {START}, {}.", names.join(", ")),
        )
    })
}

/// The one way that fits, its loss accepted.
fn choose(desk: &Desk, arguments: &RollbackArguments, ways: &[WayBack]) -> Result<Option<BackPlan>, Failure> {
    let fitting: Vec<&BackPlan> = ways.iter().filter_map(|way| way.found.as_ref().ok()).collect();
    let plan = match fitting.as_slice() {
        [] => {
            return Err(Failure::refused(
                "no way leads back from here; nothing was undone",
                vec!["Each says why above.".to_owned()],
            ));
        }
        [plan] => *plan,
        several => {
            return Err(Failure::refused(
                "several ways lead back; none was taken",
                several.iter().map(|plan| with_page(&back::command(plan), desk.page.as_deref())).collect(),
            ));
        }
    };
    let typed = arguments.accept_loss.as_deref();
    if repeats(typed.unwrap_or_default(), &plan.loss) {
        return Ok(Some(plan.clone()));
    }
    let message = match typed {
        None => "rows of others would be lost; nothing was undone".to_owned(),
        Some(typed) => format!(
            "--accept-loss {typed:?} does not repeat the figures, which are {:?}; nothing was undone",
            plan.figures()
        ),
    };
    Err(Failure::refused(message, vec![format!("If that loss is acceptable: {}", back::command(plan))]))
}
