//! What a run leaves standing.

use tidegate_runbook::Action;

use crate::program::Program;
use crate::state::{RunState, StepState};

/// Effects of changing steps that stand, oldest first, one line each.
#[must_use]
pub fn standing(program: &Program, state: &RunState) -> Vec<String> {
    state
        .started
        .iter()
        .filter_map(|id| {
            let verb = program.step(id).map_or("step", |step| step.action.verb());
            match state.steps.get(id)? {
                StepState::Done { outcome, .. } if outcome.already => {
                    Some(format!("{verb} {id}: {} (it stood before the run)", outcome.summary))
                }
                StepState::Done { outcome, .. } => {
                    let stays = match program.step(id).map(|step| &step.action) {
                        Some(Action::Seal(_) | Action::Retire(_)) => "; writes stay refused",
                        _ => "",
                    };
                    Some(format!("{verb} {id}: {}{stays}", outcome.summary))
                }
                StepState::Started { .. } => {
                    Some(format!("{verb} {id}: was begun and its end is not known; look at what it made"))
                }
                StepState::Failed { .. } | StepState::Undone { .. } => None,
            }
        })
        .collect()
}
