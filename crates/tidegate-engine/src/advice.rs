//! What to do next, for every way in which a step can fail to come to pass.

use tidegate_runbook::{Action, Name, Step};
use tidegate_store::postgres::FailureKind;

use crate::error::StepError;
use crate::event::{Back, HaltReason, WaitingOn};
use crate::moment::precise;
use crate::program::Program;
use crate::state::{GoingBack, Phase, RunState};

/// The whole error in one sentence or two, causes included.
#[must_use]
pub fn message(error: &StepError) -> String {
    let mut text = error.to_string();
    if let StepError::Door(door) = error
        && let Some(failure) = door.failure()
    {
        text = format!("{text}: {failure}");
    }
    if let Some(failure) = error.server() {
        for more in [failure.detail(), failure.hint()].into_iter().flatten() {
            if !text.contains(more) {
                text = followed_by(&text, more);
            }
        }
    }
    text
}

/// One text and then another, with one full stop between them: servers end some of their sentences with one.
#[must_use]
pub fn followed_by(text: &str, more: &str) -> String {
    let text = text.trim_end();
    let stop = if text.is_empty() || text.ends_with(['.', '!', '?', ':', ';', '…']) { "" } else { "." };
    format!("{text}{stop} {more}").trim_start().to_owned()
}

/// What a step needs next that did not come to pass; the likeliest first.
#[must_use]
pub fn after_step(error: &StepError, name: &Name, program: &Program, state: &RunState) -> Vec<String> {
    let step = program.step(name);
    let mut next = Vec::new();
    match error {
        StepError::NotHolding { verdict, .. } if verdict.is_unknown() => next.push(
            "Nothing was judged, and nothing is assumed. See why there was no answer, then run again."
                .to_owned(),
        ),
        StepError::NotHolding { .. } => next.push(after_fail(step)),
        StepError::Refused { next: own, .. } => next.push(own.clone()),
        StepError::Value(_) => {
            next.push("Run the step that keeps the value, or correct the name in the page.".to_owned());
        }
        StepError::Server { .. } | StepError::Door(_) => next.extend(after_failure(error, step)),
        StepError::Fenced | StepError::Journal(_) => {
            next.push("See who works on this store: tidegate status".to_owned());
        }
    }
    next.extend(from_here(Some(name), program, state));
    next
}

/// After a hold that cannot be read.
#[must_use]
pub fn after_hold(program: &Program, state: &RunState) -> Vec<String> {
    let mut next = vec![
        "Correct the stage's `hold` and take the page over with `tidegate amend`, then run again.".to_owned(),
    ];
    next.extend(from_here(None, program, state));
    next
}

/// After a step that was judged, and does not hold.
fn after_fail(step: Option<&Step>) -> String {
    if step.is_some_and(|step| step.action.cohort().is_some()) {
        return "See which failed and why (tidegate report) and mend that, then run again: those that are done are not done again.".to_owned();
    }
    "Mend what the check found, then run again: the check is evaluated anew.".to_owned()
}

/// How to go on, and how to get back.
fn from_here(at: Option<&Name>, program: &Program, state: &RunState) -> Vec<String> {
    if let Some(going) = state.phase.back() {
        return vec![format!("Go on with the way back: {}", again(going))];
    }
    vec![go_on(at, program), way_back(state)]
}

/// How to go on from a step: a manual stage runs only when it is named.
fn go_on(at: Option<&Name>, program: &Program) -> String {
    let stage = at.and_then(|at| program.stage_of(at)).filter(|stage| stage.manual);
    let stage = stage.map_or(String::new(), |stage| format!(" --stage {}", stage.id));
    format!("Go on from here: tidegate run --apply --actor NAME{stage}")
}

/// The command that goes on with a way back.
fn again(going: &GoingBack) -> String {
    let destination = match &going.back {
        Back::Undo { to } => format!("--to {}", to.as_ref().map_or("start", Name::as_str)),
        Back::Way { way, .. } => format!("--way {way}"),
    };
    // What was accepted is repeated: `--apply` alone loses nothing.
    let goes = match going.loss.as_slice() {
        [] => "--apply".to_owned(),
        loss => format!("--accept-loss '{}'", crate::loss::figures(loss)),
    };
    format!("tidegate rollback {destination} {goes} --actor NAME")
}

/// How to get back from where the run stands.
fn way_back(state: &RunState) -> String {
    if state.started.is_empty() {
        "Nothing was changed yet. Give the run up: tidegate abandon --actor NAME --reason WHY".to_owned()
    } else {
        "See what going back would lose (nothing is changed): tidegate rollback --to start".to_owned()
    }
}

/// Whether an SQLSTATE says that something exists which a step wanted to make.
fn exists_already(sqlstate: &str) -> bool {
    matches!(sqlstate, "42P07" | "42710" | "42P06" | "42723" | "42701")
}

fn take_over_or_remove(step: &str) -> Vec<String> {
    vec![
        "Something of this step exists already: it was applied in part or by hand. See what: tidegate doctor"
            .to_owned(),
        "Option A, undo it and run it anew: remove what exists (the step's `-- @undo` lists it), then run again."
            .to_owned(),
        format!(
            "Option B, take over what exists if it is exactly what the step makes: tidegate adopt {step} --actor NAME --reason WHY"
        ),
    ]
}

/// What to do next about a run that nobody works on. `page` has its steps; `sqlstate` is that of the last failure.
#[must_use]
pub fn standing(state: &RunState, page: &Program, sqlstate: Option<&str>) -> Vec<String> {
    let go_on = || go_on(None, page);
    if let Some(going) = state.phase.back() {
        return vec![format!("A way back is under way. Go on with it: {}", again(going))];
    }
    match &state.phase {
        Phase::Open {} | Phase::GoingBack(_) => vec![go_on(), way_back(state)],
        Phase::Halted { step, reason, .. } => {
            let id = step.as_ref().map(ToString::to_string).unwrap_or_default();
            let mut next = match reason {
                HaltReason::Watch | HaltReason::Stopped => {
                    return after_signal(*reason, step.as_ref(), page, state);
                }
                HaltReason::Fail => vec![after_fail(step.as_ref().and_then(|step| page.step(step)))],
                HaltReason::Unknown | HaltReason::Lost => vec![
                    "Nothing was judged, and nothing is assumed. See why there was no answer, then run again."
                        .to_owned(),
                ],
                HaltReason::Error if sqlstate.is_some_and(exists_already) => take_over_or_remove(&id),
                HaltReason::Error => vec!["Mend what the message names, then run again.".to_owned()],
                HaltReason::WentBack => Vec::new(),
            };
            next.extend([self::go_on(step.as_ref(), page), way_back(state)]);
            next
        }
        Phase::Waiting { on: WaitingOn::Confirm { step }, .. } => {
            vec![
                format!("Have somebody approve who may: tidegate approve {step} --actor NAME"),
                self::go_on(Some(step), page),
            ]
        }
        Phase::Waiting { on: WaitingOn::Hold { until, .. }, .. } => {
            vec![format!("After {}, go on: tidegate run --apply --actor NAME", precise(*until))]
        }
        Phase::Waiting { on: WaitingOn::Pause {}, .. } => vec![go_on(), way_back(state)],
        Phase::Finished {} => vec!["See what happened: tidegate report".to_owned()],
        Phase::RolledBack {} | Phase::Abandoned { .. } => {
            vec!["A new run starts from the beginning: tidegate run --apply --actor NAME".to_owned()]
        }
    }
}

fn after_failure(error: &StepError, step: Option<&Step>) -> Vec<String> {
    let Some(failure) = error.server() else {
        return vec!["Set what is missing, then run again.".to_owned()];
    };
    let id = step.map(|step| step.id.to_string()).unwrap_or_default();
    if failure.sqlstate().is_some_and(exists_already) {
        return take_over_or_remove(&id);
    }
    let text = match failure.kind() {
        FailureKind::LockTimeout => {
            "Another session holds a lock on what the step changes. See who: tidegate sessions. Let it end, or end it \
             with the page's evict step, then run again."
        }
        FailureKind::Cancelled => {
            "The statement took longer than its timeout or was cancelled; it had no effect. Raise `@timeout` or find \
             out what it waited for (tidegate sessions), then run again."
        }
        FailureKind::Serialization | FailureKind::Deadlock => {
            "Others change the same rows or tables at the same time. Run again when there is less traffic."
        }
        FailureKind::ConnectionLost | FailureKind::ServerShuttingDown => {
            "The server went away (restart, failover or network). The step had no effect. Run again when it answers."
        }
        FailureKind::CannotConnect => {
            "The server cannot be reached. See that it runs and that host and port are right, then run again."
        }
        FailureKind::WrongPassword => {
            "The server refused the login. See that role and password are right (URL, PGPASSWORD or the password \
             file), and that the role may LOGIN."
        }
        FailureKind::DatabaseMissing => "There is no such database on this server. Correct the URL.",
        FailureKind::ReadOnlyServer => {
            "The server takes no writes: it is a standby or default_transaction_read_only is on. Point the URL at \
             the primary."
        }
        FailureKind::DiskFull => {
            "The server's disk is full. Make room on it, then run again; nothing was changed."
        }
        FailureKind::TooManyConnections => {
            "The server has no connection left. End idle sessions (tidegate sessions, the page's evict step), then run again."
        }
        FailureKind::PermissionDenied => {
            "The role lacks a privilege. Grant it, or use a login that has it, then run again."
        }
        FailureKind::Tls => "TLS could not be set up. Check sslmode and sslrootcert of the URL.",
        _ => match step.map(|step| &step.action) {
            Some(Action::Migrate(_)) => {
                "The whole step was rolled back: nothing of it is there. Correct the statement, `tidegate amend` the run, \
                 then run again."
            }
            _ => "Mend the cause, then run again.",
        },
    };
    if failure.sqlstate() == Some("42704") && failure.message().contains("role") {
        return vec!["Create the missing role, then run again; nothing was changed.".to_owned()];
    }
    vec![text.to_owned()]
}

/// After a watch or a person stopped the run.
#[must_use]
pub fn after_signal(
    reason: HaltReason,
    at: Option<&Name>,
    program: &Program,
    state: &RunState,
) -> Vec<String> {
    let first = match reason {
        HaltReason::Watch => "Find out what the watch saw and mend it. It must pass before the run goes on.",
        HaltReason::Stopped => {
            "What was running was rolled back or cut off; it is done again when the run goes on."
        }
        HaltReason::Fail
        | HaltReason::Unknown
        | HaltReason::Error
        | HaltReason::WentBack
        | HaltReason::Lost => "See `tidegate status`.",
    };
    let mut next = vec![first.to_owned()];
    next.extend(from_here(at, program, state));
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_joined_with_one_full_stop() {
        let detail = followed_by("orders is sealed: INSERT is refused", "Sealed by step quiet.");
        assert_eq!(
            followed_by(&detail, "Writes are refused."),
            "orders is sealed: INSERT is refused. Sealed by step quiet. Writes are refused."
        );
        assert_eq!(followed_by("Really?", "Yes"), "Really? Yes");
        assert_eq!(followed_by("", "Yes"), "Yes");
    }
}
