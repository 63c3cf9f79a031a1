//! How a command that worked on a run ended: what happened, where, why, what to do next, whom to call.

use serde::Serialize;
use tidegate_engine::ending::Ending;
use tidegate_engine::event::{HaltReason, WaitingOn};
use tidegate_engine::journal::Head;
use tidegate_runbook::Name;
use uuid::Uuid;

use crate::desk::Desk;
use crate::exit_code::{self, ExitCode};
use crate::render::advice::with_page;
use crate::render::event::{reason_text, waiting};
use crate::render::failure::steps;
use crate::render::loss;
use crate::screen::Tone;

/// The last line of `run --json` and `rollback --json`.
#[derive(Serialize)]
struct Document {
    #[serde(rename = "type")]
    kind: &'static str,
    exit_code: ExitCode,
    run: Uuid,
    head: Place,
    /// `file:line` of the step it ended at.
    at: Option<String>,
    #[serde(flatten)]
    ending: Ending,
}

/// The journal's head.
#[derive(Serialize)]
pub(crate) struct Place {
    seq: u64,
    hash: String,
}

impl From<Head> for Place {
    fn from(head: Head) -> Self {
        Self { seq: head.seq, hash: head.hash.to_string() }
    }
}

/// Shows it, and gives its exit code.
pub(crate) fn show(desk: &Desk, run: Uuid, head: Head, ending: Ending) -> ExitCode {
    let exit_code = exit_code::of_ending(&ending);
    let ending = with_the_page(desk, ending);
    let at = step_of(&ending).and_then(|step| desk.place(step));
    let text = text(desk, run, head, &ending, at.as_deref());
    if desk.screen.is_json() {
        desk.screen.talk(&text);
        desk.screen.json(&Document { kind: "ending", exit_code, run, head: head.into(), at, ending });
    } else {
        desk.screen.data(&text);
    }
    exit_code
}

fn step_of(ending: &Ending) -> Option<&Name> {
    match ending {
        Ending::Halted { step, .. } => step.as_ref(),
        Ending::Waiting { on: WaitingOn::Confirm { step }, .. } => Some(step),
        Ending::Done { .. }
        | Ending::Waiting { .. }
        | Ending::RolledBack { .. }
        | Ending::LeaseLost { .. }
        | Ending::InDoubt { .. }
        | Ending::Drift { .. } => None,
    }
}

fn with_the_page(desk: &Desk, mut ending: Ending) -> Ending {
    match &mut ending {
        Ending::Halted { next, .. }
        | Ending::Waiting { next, .. }
        | Ending::InDoubt { next, .. }
        | Ending::Drift { next, .. } => {
            for line in next {
                *line = with_page(line, desk.page.as_deref());
            }
        }
        Ending::Done { .. } | Ending::RolledBack { .. } | Ending::LeaseLost { .. } => {}
    }
    ending
}

fn text(desk: &Desk, run: Uuid, head: Head, ending: &Ending, at: Option<&str>) -> String {
    let screen = &desk.screen;
    let mut text = String::from("\n");
    let mut say = |tone: Tone, word: &str, more: &str| {
        text.push_str(&format!("{}{more}\n", screen.paint(tone, word)));
    };
    let (mut next, mut contacts): (&[String], &[String]) = (&[], &[]);
    match ending {
        Ending::Done { what } => say(Tone::Good, "DONE", &format!("  {what}")),
        Ending::Halted { step, reason, message, next: steps, contacts: names } => {
            let place = match (step, at) {
                (Some(step), Some(at)) => format!(" at {step} ({at})"),
                (Some(step), None) => format!(" at {step}"),
                (None, _) => String::new(),
            };
            if *reason == HaltReason::WentBack {
                say(Tone::Careful, "WENT BACK", &format!("  {message}"));
            } else {
                let reason = reason_text(*reason).map_or(String::new(), |reason| format!(": {reason}"));
                say(Tone::Bad, "HALTED", &format!("{place}{reason}"));
                say(Tone::Strong, "Why:", &format!("   {}", message.replace('\n', "\n       ")));
            }
            (next, contacts) = (steps, names);
        }
        Ending::Waiting { on, next: steps } => {
            let (subject, detail) = waiting(on);
            let at = at.map_or(String::new(), |at| format!(" ({at})"));
            say(Tone::Careful, "WAITING", &format!(" at {subject}{at}: {detail}"));
            next = steps;
        }
        Ending::RolledBack { loss } => {
            say(Tone::Careful, "ROLLED BACK", "  to the start");
            text.push_str("Lost:\n");
            text.push_str(&loss::text(loss));
        }
        Ending::LeaseLost { message } => {
            say(Tone::Bad, "LEASE LOST", &format!("  {message}"));
            text.push_str(
                "This runner has changed nothing since. Another one works on the run, or may take it now.\n",
            );
            text.push_str(&steps(&[with_page("See what it does: tidegate status", desk.page.as_deref())]));
        }
        Ending::InDoubt { message, next: steps } => {
            say(Tone::Bad, "IN DOUBT", &format!("  {message}"));
            next = steps;
        }
        Ending::Drift { message, next: steps } => {
            say(Tone::Bad, "DRIFT", &format!("  {message}"));
            next = steps;
        }
    }
    text.push_str(&steps(next));
    if !contacts.is_empty() {
        text.push_str(&format!("Call:  {}\n", contacts.join(", ")));
    }
    text.push_str(&format!("Run:   {run}\nHead:  {}:{}\n", head.seq, head.hash));
    text
}
