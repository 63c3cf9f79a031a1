//! Whether an edited page may be taken over by a run that has begun.

use tidegate_runbook::{Action, Name, RekeyMode};

use crate::program::{Program, is_at_a_backup, is_only_unless};
use crate::runner::changed_steps;
use crate::state::{RunState, StepState};

/// Why a page may not be taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Objection {
    /// The step.
    pub(crate) step: Name,
    /// What is wrong with its change.
    pub(crate) why: String,
}

impl std::fmt::Display for Objection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.step, self.why)
    }
}

/// Everything that forbids going on with `after` where `before` was begun, and the names of the steps that changed.
///
/// A step that has not begun may change, and so may one that failed without an effect. A completed or begun step may
/// neither change nor go nor move, and nothing new may stand above one: the order of the page is the order of the work.
pub(crate) fn objections(before: &Program, after: &Program, state: &RunState) -> (Vec<Name>, Vec<Objection>) {
    let changed = changed_steps(before, after);
    let mut found: Vec<Objection> = changed
        .iter()
        .filter_map(|id| {
            let removed = after.step(id).is_none();
            let old = before.step(id).map(|step| &step.action);
            why_fixed(state.steps.get(id)?, old, removed)
                .map(|why| Objection { step: id.clone(), why: why.to_owned() })
        })
        .collect();
    found.extend(out_of_order(before, after, state));
    (changed, found)
}

/// Why a step in that state may not change.
fn why_fixed(state: &StepState, action: Option<&Action>, removed: bool) -> Option<&'static str> {
    match (state, removed) {
        (StepState::Done { .. }, true) => Some("is complete and was removed from the page"),
        (StepState::Done { .. }, false) => Some("is complete and changed meaning"),
        (StepState::Started { .. }, true) => Some("was begun and was removed from the page"),
        (StepState::Started { .. }, false) => Some("was begun, its end is not known, and it changed meaning"),
        (StepState::Failed { .. }, _) => match action {
            Some(Action::Command(_)) => Some("failed, and whether it had an effect outside cannot be told"),
            Some(Action::Migrate(migrate)) if migrate.outside_transaction => {
                Some("failed outside a transaction, and its next attempt must clear away what it left")
            }
            Some(Action::Rekey(moved)) if moved.mode != RekeyMode::Dry => {
                Some("failed, and what it copied until then stays")
            }
            Some(Action::Restore(_) | Action::RestoreKeys(_)) => Some("failed while it restored"),
            _ => None,
        },
        (StepState::Undone { .. }, _) => None,
    }
}

/// Steps that would be done after others that they stand above, or that changed places with them.
fn out_of_order(before: &Program, after: &Program, state: &RunState) -> Vec<Objection> {
    let begun =
        |id: &Name| matches!(state.steps.get(id), Some(StepState::Done { .. } | StepState::Started { .. }));
    let (old, new) = (in_order(before), in_order(after));
    let place = |id: &Name| old.iter().position(|known| *known == id);
    let mut found = Vec::new();
    for (index, id) in new.iter().enumerate() {
        let mine = place(id);
        let overtaken = new.iter().skip(index + 1).find(|below| {
            begun(below)
                && match (mine, place(below)) {
                    (Some(mine), Some(below)) => mine > below,
                    (None, _) => true,
                    (Some(_), None) => false,
                }
        });
        if let Some(below) = overtaken {
            let why = if mine.is_none() {
                format!("is new and stands above {below}, which is done already: put it below")
            } else {
                format!("was moved above {below}, which is done already")
            };
            found.push(Objection { step: (*id).clone(), why });
        }
    }
    found
}

/// Steps that run by themselves, in document order.
fn in_order(program: &Program) -> Vec<&Name> {
    program
        .runbook
        .steps()
        .filter(|(stage, step)| !stage.manual && !is_only_unless(step) && !is_at_a_backup(step))
        .map(|(_, step)| &step.id)
        .collect()
}
