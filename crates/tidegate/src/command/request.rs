//! `stop`, `pause`, `resume`, `knob`: what a runner is asked for by another process.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tidegate_engine::confirmation::shown;
use tidegate_engine::event::{Event, Person};
use tidegate_engine::history::History;
use tidegate_engine::holder::{host_name, os_user};
use tidegate_engine::knobs::Knobs;
use tidegate_engine::lease::HolderInfo;
use tidegate_engine::observer::Ask;
use tidegate_engine::request::{self, RequestBody, RequestKind};
use tidegate_engine::state::{Phase, RunState};
use tidegate_runbook::Name;
use tidegate_store::postgres::Session;

use crate::arguments::{KnobArguments, RequestArguments};
use crate::command::status::holder;
use crate::desk::{Desk, actor};
use crate::exit_code::{self, ExitCode};
use crate::failure::Failure;
use crate::screen::Screen;

/// How often the journal is looked at for an answer.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long an answer is waited for. A runner takes requests up between steps; a stop also within one.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What became of a request.
#[derive(Serialize)]
struct Document {
    exit_code: ExitCode,
    request: i64,
    what: &'static str,
    /// The runner has taken it up.
    taken: bool,
    message: String,
}

pub(crate) async fn stop(screen: &Screen, arguments: &RequestArguments) -> Result<ExitCode, Failure> {
    ask_runner(screen, arguments, RequestKind::Stop {}).await
}

pub(crate) async fn pause(screen: &Screen, arguments: &RequestArguments) -> Result<ExitCode, Failure> {
    ask_runner(screen, arguments, RequestKind::Pause {}).await
}

pub(crate) async fn resume(screen: &Screen, arguments: &RequestArguments) -> Result<ExitCode, Failure> {
    ask_runner(screen, arguments, RequestKind::Resume {}).await
}

/// Turns a knob of the step at work; what cannot be turned so is refused before it is asked.
pub(crate) async fn knob(screen: &Screen, arguments: &KnobArguments) -> Result<ExitCode, Failure> {
    let step = Name::parse(&arguments.step)
        .map_err(|error| Failure::usage(error.to_string(), "Name the step as the page does."))?;
    let Some((knob, value)) = arguments.turn.split_once('=') else {
        return Err(Failure::usage(
            format!("{:?} turns nothing", arguments.turn),
            "Write NAME=VALUE, as in workers=4, target=200ms or rows=5000.",
        ));
    };
    Knobs::default().turn(knob, value).map_err(|why| Failure::usage(why, "See `tidegate knob --help`."))?;
    let ask = RequestKind::Knob { step, knob: knob.to_owned(), value: value.to_owned() };
    ask_runner(screen, &arguments.request, ask).await
}

async fn ask_runner(
    screen: &Screen,
    arguments: &RequestArguments,
    ask: RequestKind,
) -> Result<ExitCode, Failure> {
    let desk = Desk::open(screen, &arguments.page, &BTreeMap::new())?;
    let counter = Counter::open(&desk, &arguments.actor, |phase| !phase.is_final()).await?;
    if !counter.is_attended() {
        return Err(Failure::usage(
            format!("nobody works on run {}; nothing was asked", counter.state.run),
            "See where it stands: tidegate status",
        ));
    }
    counter.ask(ask).await
}

/// Where requests are handed in: the newest run, and who works on it.
pub(crate) struct Counter<'a> {
    desk: &'a Desk,
    home: Session,
    /// The run.
    pub(crate) state: RunState,
    /// The journal as it was read.
    pub(crate) history: History,
    holder: Option<HolderInfo>,
    /// Who asks.
    pub(crate) by: Person,
}

impl<'a> Counter<'a> {
    /// Finds the run, if its phase is one that takes the request.
    ///
    /// # Errors
    /// If there is none, or the store cannot be asked.
    pub(crate) async fn open(
        desk: &'a Desk,
        name: &str,
        takes: impl FnOnce(&Phase) -> bool,
    ) -> Result<Self, Failure> {
        let name = actor(Some(name), "a request")?;
        let home = desk.home("request").await?;
        let history = History::read(&home).await?;
        let nothing =
            || Failure::usage("there is no run that goes on", "See what there was: tidegate status");
        let state = history.newest()?.filter(|state| takes(&state.phase)).ok_or_else(nothing)?;
        let holder = holder(&home, &history).await?.holder;
        let rows = home.query("SELECT session_user::text", &[]).await?;
        let by = Person {
            actor: name.to_owned(),
            os_user: os_user(),
            host: host_name(),
            db_role: rows.first().map(|row| row.get(0)).unwrap_or_default(),
        };
        Ok(Self { desk, home, state, history, holder, by })
    }

    /// Somebody works on the run.
    pub(crate) fn is_attended(&self) -> bool {
        self.holder.as_ref().is_some_and(|holder| !holder.gone && !holder.left.is_zero())
    }

    /// What a confirm says and releases.
    pub(crate) async fn shown(&self, step: &Name) -> Result<Option<Ask>, Failure> {
        let Desk { program, doors, .. } = self.desk;
        Ok(shown(program, doors, &self.home, &self.history, &self.state, step).await?)
    }

    /// Asks, and waits a while for the runner's answer, if there is a runner.
    pub(crate) async fn ask(self, ask: RequestKind) -> Result<ExitCode, Failure> {
        let what = word(&ask);
        let body = RequestBody { run: self.state.run, by: self.by.clone(), ask };
        let id = request::ask(&self.home, &body).await?;
        let answer = if self.is_attended() { self.answer(id).await? } else { None };
        self.home.close().await;
        let (exit_code, taken, message) = match answer {
            Some(None) => (exit_code::DONE, true, format!("{what}: the runner has taken it up")),
            Some(Some(why)) => (exit_code::HALTED, true, format!("{what}: refused: {why}")),
            None if self.holder.is_some() => {
                (exit_code::DONE, false, format!("{what}: asked; the runner takes it up after its step"))
            }
            None => (exit_code::DONE, false, format!("{what}: noted; the next run takes it up")),
        };
        let screen = &self.desk.screen;
        if screen.is_json() {
            screen.json(&Document { exit_code, request: id, what, taken, message });
        } else {
            screen.data(&message);
        }
        Ok(exit_code)
    }

    /// `Some(refused)` once the runner has taken the request up.
    async fn answer(&self, id: i64) -> Result<Option<Option<String>>, Failure> {
        let until = tokio::time::Instant::now() + ANSWER_WITHIN;
        while tokio::time::Instant::now() < until {
            let history = History::read(&self.home).await?;
            let taken = history.records.iter().rev().find_map(|record| match &record.event {
                Event::RequestTaken { request, refused, .. } if *request == id => Some(refused.clone()),
                _ => None,
            });
            if taken.is_some() {
                return Ok(taken);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(None)
    }
}

fn word(ask: &RequestKind) -> &'static str {
    match ask {
        RequestKind::Approve { .. } => "approve",
        RequestKind::Stop {} => "stop",
        RequestKind::Pause {} => "pause",
        RequestKind::Resume {} => "resume",
        RequestKind::Knob { .. } => "knob",
    }
}
