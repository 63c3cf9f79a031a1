//! `amend`, `accept-drift`, `adopt`, `abandon`: what a person decides about a run, with name and reason.

use std::cell::RefCell;
use std::rc::Rc;

use serde::Serialize;
use tidegate_engine::decide::{DecideError, Decision};
use tidegate_engine::observer::Observer;
use tidegate_engine::runner::{Opened, Purpose, Runner};
use uuid::Uuid;

use crate::arguments::{AcceptDriftArguments, AdoptArguments, DecideArguments, RunInput};
use crate::command::run::finish;
use crate::desk::{self, Desk};
use crate::exit_code::{self, ExitCode};
use crate::failure::Failure;
use crate::render::advice::with_page;
use crate::render::ending::{self, Place};
use crate::render::failure::steps;
use crate::screen::{Screen, Tone};
use crate::watcher::Watcher;

/// `amend --json`, `accept-drift --json`, `adopt --json`
#[derive(Serialize)]
struct Document<'a> {
    exit_code: ExitCode,
    run: Uuid,
    head: Place,
    #[serde(flatten)]
    decision: &'a Decision,
}

/// A run that is opened for a decision.
struct Chamber {
    desk: Desk,
    runner: Runner,
}

impl Chamber {
    async fn open(screen: &Screen, arguments: &DecideArguments) -> Result<Self, Failure> {
        let actor = desk::actor(Some(&arguments.why.actor), "a decision")?;
        if arguments.why.reason.trim().is_empty() {
            return Err(Failure::usage("a decision needs a reason", "Add --reason WHY: it is journaled."));
        }
        let sets = desk::sets(&arguments.sets)?;
        let desk = Desk::open(screen, &arguments.page, &sets)?;
        let options = desk::options(Some(actor), &RunInput::default(), &sets)?;
        let watcher = Rc::new(RefCell::new(Watcher::new(&desk)));
        let observer: Rc<RefCell<dyn Observer>> = watcher;
        let opened =
            Runner::open(desk.program.clone(), desk.doors.clone(), &options, Purpose::Decide, observer).await;
        let Opened { runner, .. } = opened?;
        Ok(Self { desk, runner })
    }

    async fn close(self, decided: Result<Decision, DecideError>) -> Result<ExitCode, Failure> {
        let (run, head) = (self.runner.state().run, self.runner.head());
        self.runner.close().await;
        let decision = match decided {
            Ok(decision) => decision,
            Err(DecideError::Stopped(ending)) => return Ok(ending::show(&self.desk, run, head, *ending)),
            Err(error) => return Err(failure(error)),
        };
        let screen = &self.desk.screen;
        if screen.is_json() {
            let exit_code = exit_code::DONE;
            screen.json(&Document { exit_code, run, head: head.into(), decision: &decision });
            return Ok(exit_code);
        }
        let mut text = format!("{}  {}\n", screen.paint(Tone::Good, "DECIDED"), decision.what);
        for line in &decision.details {
            text.push_str(&format!("    {line}\n"));
        }
        text.push_str(&steps(&[with_page(&decision.next, self.desk.page.as_deref())]));
        text.push_str(&format!("Run:   {run}\nHead:  {}:{}\n", head.seq, head.hash));
        screen.data(&text);
        Ok(exit_code::DONE)
    }
}

fn failure(error: DecideError) -> Failure {
    let message = error.to_string();
    match error {
        DecideError::UnknownSubject { .. } | DecideError::UnknownStep { .. } => {
            Failure::usage(message, "Name one of these.")
        }
        DecideError::Refused { next, .. } => Failure::refused(message, vec![next]),
        DecideError::Step(error) => error.into(),
        DecideError::Stopped(_) => {
            Failure { code: exit_code::IN_DOUBT, kind: "in_doubt", message, next: Vec::new() }
        }
    }
}

pub(crate) async fn amend(screen: &Screen, arguments: &DecideArguments) -> Result<ExitCode, Failure> {
    let mut chamber = Chamber::open(screen, arguments).await?;
    let decided = chamber.runner.amend(&arguments.why.reason).await;
    chamber.close(decided).await
}

pub(crate) async fn accept_drift(
    screen: &Screen,
    arguments: &AcceptDriftArguments,
) -> Result<ExitCode, Failure> {
    let mut chamber = Chamber::open(screen, &arguments.decide).await?;
    let decided = chamber.runner.accept_drift(&arguments.subject, &arguments.decide.why.reason).await;
    chamber.close(decided).await
}

pub(crate) async fn adopt(screen: &Screen, arguments: &AdoptArguments) -> Result<ExitCode, Failure> {
    let step = desk::name("STEP", &arguments.step)?;
    let mut chamber = Chamber::open(screen, &arguments.decide).await?;
    let decided = chamber.runner.adopt(&step, &arguments.decide.why.reason).await;
    chamber.close(decided).await
}

pub(crate) async fn abandon(screen: &Screen, arguments: &DecideArguments) -> Result<ExitCode, Failure> {
    let Chamber { desk, mut runner } = Chamber::open(screen, arguments).await?;
    let ending = runner.abandon(&arguments.why.reason).await;
    Ok(finish(&desk, runner, ending).await)
}
