//! One event as one line: when, what it is about, what happened.

use tidegate_engine::event::{Back, Event, EventRecord, HaltReason, LossLine, WaitingOn};
use tidegate_engine::loss;

use crate::render::span::{moment, took};
use crate::screen::{Screen, Tone};

/// Columns of a line that hold the subject.
const SUBJECT_WIDTH: usize = 28;

/// Columns of a line that hold the word.
const WORD_WIDTH: usize = 11;

/// Shorter times are not shown.
const SHOWN_FROM_MS: u64 = 100;

/// What an event says, in parts.
struct Parts {
    subject: String,
    word: &'static str,
    tone: Tone,
    detail: String,
}

/// The event as a line for a person who watches: the time of day, subject, word, detail.
pub(crate) fn line(screen: &Screen, record: &EventRecord) -> String {
    let time = record.at.strftime("%H:%M:%S").to_string();
    body(screen, &time, record)
}

/// The event as a line for a person who reads later: with its number and the date.
pub(crate) fn dated_line(screen: &Screen, record: &EventRecord) -> String {
    body(screen, &format!("{:>5}  {}", record.seq, moment(record.at)), record)
}

fn body(screen: &Screen, time: &str, record: &EventRecord) -> String {
    let parts = parts(&record.event);
    let word = screen.paint(parts.tone, &format!("{:<WORD_WIDTH$}", parts.word));
    let detail = parts.detail.replace('\n', " ");
    format!("{}  {:<SUBJECT_WIDTH$}  {word}  {detail}", screen.paint(Tone::Faint, time), parts.subject)
        .trim_end()
        .to_owned()
}

fn parts(event: &Event) -> Parts {
    let part = |subject: &dyn ToString, word, tone, detail: String| Parts {
        subject: subject.to_string(),
        word,
        tone,
        detail,
    };
    let run = |word, tone, detail: String| part(&"run", word, tone, detail);
    match event {
        Event::RunStarted { title, by, bound_to, .. } => run(
            "started",
            Tone::Strong,
            format!(
                "{title}, by {} ({} on {}), database {}",
                by.actor, by.os_user, by.host, bound_to.database
            ),
        ),
        Event::Resumed { by, ended_backends } => {
            let ended = if *ended_backends == 0 {
                String::new()
            } else {
                format!("; ended {ended_backends} sessions of the runner before")
            };
            run("resumed", Tone::Strong, format!("by {} ({} on {}){ended}", by.actor, by.os_user, by.host))
        }
        Event::StepStarted { step, attempt } => {
            let again = if *attempt > 1 { format!("attempt {attempt}") } else { String::new() };
            part(step, "started", Tone::Faint, again)
        }
        Event::StepDone { step, outcome, .. } => {
            let word = if outcome.already { "already" } else { "done" };
            let took = if outcome.took_ms >= SHOWN_FROM_MS {
                format!(" ({})", took(outcome.took_ms))
            } else {
                String::new()
            };
            part(step, word, Tone::Good, format!("{}{took}", outcome.summary))
        }
        Event::StepFailed { step, unknown, message, .. } => {
            let word = if *unknown { "UNKNOWN" } else { "FAILED" };
            part(step, word, Tone::Bad, message.clone())
        }
        Event::Rechecked { step, holds: true, .. } => part(step, "still holds", Tone::Faint, String::new()),
        Event::Rechecked { step, holds: false, message } => {
            part(step, "NO LONGER", Tone::Bad, message.clone())
        }
        Event::FlagsMoved { step, set, from, to, epoch, .. } => {
            part(step, "moved", Tone::Good, format!("{set} from {from} to {to}, epoch {epoch}"))
        }
        Event::KnobTurned { step, knob, value, by } => {
            part(step, "turned", Tone::Careful, format!("{knob} to {value}, by {} ({})", by.actor, by.host))
        }
        Event::SessionEnded { step, pid, role, application, state } => {
            part(step, "ended", Tone::Careful, format!("session {pid} of {role} ({application}), {state}"))
        }
        Event::Halted { step, message, .. } => {
            let subject = step.as_ref().map_or_else(|| "run".to_owned(), ToString::to_string);
            part(&subject, "HALTED", Tone::Bad, message.clone())
        }
        Event::Waiting { on } => {
            let (subject, detail) = waiting(on);
            part(&subject, "waiting", Tone::Careful, detail)
        }
        Event::Approved { step, by, head } => part(
            step,
            "approved",
            Tone::Good,
            format!("by {} ({} on {}) at head {}", by.actor, by.os_user, by.host, head.short()),
        ),
        Event::HoldServed { stage, seconds, complete } => {
            let word = if *complete { "held" } else { "holding" };
            part(stage, word, Tone::Good, format!("{seconds} s served"))
        }
        Event::WatchOpened { step } => part(step, "watching", Tone::Faint, String::new()),
        Event::WatchTripped { step, message, action } => {
            part(step, "TRIPPED", Tone::Bad, format!("{message}; {action}"))
        }
        Event::WatchClosed { step, looks, longest_gap_ms } => part(
            step,
            "watched",
            Tone::Good,
            format!("{looks} looks, at most {} apart", took(*longest_gap_ms)),
        ),
        Event::RollbackStarted { back, order, loss, by } => run(
            "going back",
            Tone::Careful,
            format!(
                "{}: {} steps, by {}; loss accepted: {}",
                back_text(back),
                order.len(),
                by.actor,
                lost(loss)
            ),
        ),
        Event::StepUndone { step, loss } => {
            part(step, "undone", Tone::Careful, format!("lost: {}", lost(loss)))
        }
        Event::RollbackEnded { at, .. } => {
            let place = at.as_ref().map_or_else(
                || "to the start".to_owned(),
                |stage| format!("to the state after stage {stage}"),
            );
            run("went back", Tone::Careful, place)
        }
        Event::RequestTaken { what, refused: None, .. } => run("asked", Tone::Faint, what.clone()),
        Event::RequestTaken { what, refused: Some(why), .. } => {
            run("refused", Tone::Careful, format!("{what}: {why}"))
        }
        Event::Amended { changed, by, reason, .. } => {
            let names: Vec<String> = changed.iter().map(ToString::to_string).collect();
            let names = if names.is_empty() { "no step".to_owned() } else { names.join(", ") };
            run("amended", Tone::Careful, format!("{names} changed, by {}: {reason}", by.actor))
        }
        Event::DriftAccepted { subject, by, reason } => {
            run("accepted", Tone::Careful, format!("{subject}, by {}: {reason}", by.actor))
        }
        Event::Adopted { step, outcome, by, reason } => {
            part(step, "adopted", Tone::Careful, format!("{}, by {}: {reason}", outcome.summary, by.actor))
        }
        Event::Finished {} => run("finished", Tone::Good, "all stages are complete".to_owned()),
        Event::Abandoned { by, reason } => {
            run("abandoned", Tone::Careful, format!("by {}: {reason}", by.actor))
        }
    }
}

/// What a run waits for: the subject, and the sentence.
pub(crate) fn waiting(on: &WaitingOn) -> (String, String) {
    match on {
        WaitingOn::Confirm { step } => (step.to_string(), "for a person's approval".to_owned()),
        WaitingOn::Hold { stage, until } => (stage.to_string(), format!("until {}", moment(*until))),
        WaitingOn::Pause {} => ("run".to_owned(), "paused, until somebody resumes it".to_owned()),
    }
}

/// Why a run halted, where its message does not say so in its own words.
pub(crate) fn reason_text(reason: HaltReason) -> Option<&'static str> {
    match reason {
        HaltReason::Fail | HaltReason::Unknown | HaltReason::Watch | HaltReason::Stopped => None,
        HaltReason::Error => Some("the step's own work failed"),
        HaltReason::WentBack => Some("it went back"),
        HaltReason::Lost => Some("the store could not be asked"),
    }
}

/// How a run goes back.
pub(crate) fn back_text(back: &Back) -> String {
    match back {
        Back::Undo { to: None } => "by undo to the start".to_owned(),
        Back::Undo { to: Some(stage) } => format!("by undo to the state after stage {stage}"),
        Back::Way { way, .. } => format!("along way {way}"),
    }
}

fn lost(lines: &[LossLine]) -> String {
    if lines.is_empty() { "nothing".to_owned() } else { loss::figures(lines) }
}
