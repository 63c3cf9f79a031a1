//! How a run halts: journaled, told to the page's hook, and answered with what to do next.

use std::time::Duration;

use tidegate_runbook::{Action, Name};
use tidegate_store::process::{Exit, Invocation, run};

use crate::advice;
use crate::crash::{self, Site};
use crate::ending::Ending;
use crate::error::StepError;
use crate::event::{Back, Event, HaltReason};
use crate::observer::Progress;
use crate::runner::{Runner, Stop};
use crate::signals::Signal;
use crate::state::Phase;

/// How long `on_halt` may take.
const HOOK_TIMEOUT: Duration = Duration::from_secs(30);

/// Most bytes kept of what the hook prints.
const HOOK_OUTPUT_BYTES_MAX: usize = 4096;

impl Runner {
    /// Halts because a step did not come to pass.
    pub(crate) async fn halt_on(&mut self, step: &Name, error: StepError) -> Result<Ending, Stop> {
        if matches!(error, StepError::Fenced) {
            return Err(Stop::LeaseLost(error.to_string()));
        }
        if let StepError::Journal(error) = error {
            return Err(error.into());
        }
        // A cancelled statement says that it was cancelled; why it was, the signal says.
        if error.server().is_some()
            && let Some(signal) = self.signals.take()
            && let Some(ending) = Box::pin(self.follow_signal(Some(step), signal)).await?
        {
            return Ok(ending);
        }
        if !self.connected() {
            self.recover("the connection was lost").await?;
            if crate::program::is_done(&self.state, step) {
                return Ok(Ending::Done { what: format!("{step} was committed") });
            }
        }
        let attempt = self.program.step(step).map_or(1, |step| self.job(step).attempt);
        let unknown = error.is_unknown();
        let reason = match (&error, unknown) {
            (StepError::NotHolding { .. }, false) => HaltReason::Fail,
            (_, true) => HaltReason::Unknown,
            _ => HaltReason::Error,
        };
        let message = advice::message(&error);
        let mut events = Vec::new();
        // An undo that is refused leaves its step as complete as it was.
        let undoing = self.state.phase.back().is_some_and(|back| matches!(back.back, Back::Undo { .. }));
        // So does a step of a manual stage that is refused when it is run once more.
        let stands = crate::program::is_done(&self.state, step) && self.state.started.contains(step);
        if !undoing && !stands {
            events.push(Event::StepFailed {
                step: step.clone(),
                attempt,
                unknown,
                message: message.clone(),
                sqlstate: error.sqlstate().map(str::to_owned),
            });
        }
        let next = advice::after_step(&error, step, &self.program, &self.state);
        self.halt(Some(step.clone()), reason, message, next, events).await
    }

    /// Halts because of a signal.
    pub(crate) async fn halt_on_signal(
        &mut self,
        step: Option<&Name>,
        signal: Signal,
    ) -> Result<Ending, Stop> {
        let (reason, message, mut before) = match signal {
            Signal::LeaseLost(why) => return Err(Stop::LeaseLost(why)),
            Signal::Stop { by } => {
                self.take_up_stops().await?;
                (HaltReason::Stopped, format!("Stopped by {by}."), Vec::new())
            }
            Signal::Unanswered { watch, message } => {
                let about = self.about_watch(&watch, "has no answer", &message);
                (HaltReason::Watch, about, Vec::new())
            }
            Signal::Tripped { watch, message } => {
                let tripped = Event::WatchTripped {
                    step: watch.clone(),
                    message: message.clone(),
                    action: "halt".to_owned(),
                };
                (HaltReason::Watch, self.about_watch(&watch, "tripped", &message), vec![tripped])
            }
        };
        if let Some(step) = step
            && let Some(crate::state::StepState::Started { attempt, .. }) = self.state.steps.get(step)
        {
            before.push(Event::StepFailed {
                step: step.clone(),
                attempt: *attempt,
                unknown: false,
                message: format!("interrupted: {message}"),
                sqlstate: None,
            });
        }
        let next = advice::after_signal(reason, step, &self.program, &self.state);
        self.halt(step.cloned(), reason, message, next, before).await
    }

    /// What a watch saw, with its own sentence and its place in the page.
    fn about_watch(&self, watch: &Name, word: &str, message: &str) -> String {
        let Some(step) = self.program.step(watch) else { return format!("Watch {watch} {word}: {message}") };
        let says = step.says.as_ref().map_or(String::new(), |says| format!("{says} "));
        format!("{says}Watch {watch} {word} ({}): {message}", self.program.place_of(step))
    }

    /// Journals the halt and runs the page's hook.
    pub(crate) async fn halt(
        &mut self,
        step: Option<Name>,
        reason: HaltReason,
        message: String,
        next: Vec<String>,
        mut events: Vec<Event>,
    ) -> Result<Ending, Stop> {
        crash::point(Site::Halting, step.as_ref().map_or("-", Name::as_str));
        // A manual stage may fail while the run is halted or finished already: its position does not move.
        let moves = matches!(self.state.phase, Phase::Open {} | Phase::Waiting { .. } | Phase::GoingBack(_));
        if moves {
            events.extend(self.never_begun(step.as_ref()));
            events.push(Event::Halted { step: step.clone(), reason, message: message.clone() });
        }
        if !events.is_empty() {
            self.commit(events).await?;
        }
        self.watches.clear();
        self.run_hook(step.as_ref(), &message).await;
        let contacts = self.program.runbook.contacts.clone();
        Ok(Ending::Halted { step, reason, message, next, contacts })
    }

    async fn run_hook(&mut self, step: Option<&Name>, message: &str) {
        let argv = self.program.runbook.on_halt.clone();
        if argv.is_empty() {
            return;
        }
        let invocation = Invocation {
            argv: argv.clone(),
            stdin: None,
            environment: vec![
                ("PATH".to_owned(), self.doors.environment("PATH").unwrap_or_default()),
                ("TG_RUN".to_owned(), self.state.run.to_string()),
                ("TG_RUNBOOK".to_owned(), self.state.runbook.to_string()),
                ("TG_STEP".to_owned(), step.map(ToString::to_string).unwrap_or_default()),
                (
                    "TG_PLACE".to_owned(),
                    step.and_then(|step| self.program.step(step))
                        .map(|step| self.program.place_of(step))
                        .unwrap_or_default(),
                ),
                ("TG_MESSAGE".to_owned(), self.redactor().redact(message)),
            ],
            timeout: HOOK_TIMEOUT,
            output_bytes_max: HOOK_OUTPUT_BYTES_MAX,
            directory: None,
        };
        let program = argv.first().cloned().unwrap_or_default();
        let what = match run(invocation).await {
            Ok(finished) => match finished.exit {
                Exit::Code(0) => format!("{program} was told"),
                Exit::Code(code) => format!("{program} ended with exit code {code}"),
                Exit::Signal(signal) => format!("{program} was ended by signal {signal}"),
            },
            Err(failure) => format!("{program} could not be told: {failure}"),
        };
        self.progress(Progress::HaltHook { what });
    }

    /// Steps whose start was journaled with the step before them, and that were never begun.
    fn never_begun(&mut self, halted_at: Option<&Name>) -> Vec<Event> {
        std::mem::take(&mut self.intents)
            .into_iter()
            .filter(|step| Some(step) != halted_at)
            .filter_map(|step| match self.state.steps.get(&step) {
                Some(crate::state::StepState::Started { attempt, .. }) => Some(Event::StepFailed {
                    attempt: *attempt,
                    step,
                    unknown: false,
                    message: "not begun".to_owned(),
                    sqlstate: None,
                }),
                _ => None,
            })
            .collect()
    }

    /// What a watch's trip asks for, if it is not a halt.
    pub(crate) fn on_trip(&self, watch: &Name) -> tidegate_runbook::OnTrip {
        match self.program.step(watch).map(|step| &step.action) {
            Some(Action::Watch(watch)) => watch.on_trip,
            _ => tidegate_runbook::OnTrip::Halt,
        }
    }
}
