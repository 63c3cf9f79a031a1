//! Restoring keys, with the loss that was accepted; and what is ensured where there is no gate.

use tidegate_runbook::{RestoreKeys, Step};

use crate::error::StepError;
use crate::event::LossLine;
use crate::runner::back::same_figures;
use crate::runner::forward::Flow;
use crate::runner::{Runner, Stop};
use crate::state::StepState;
use crate::verb;

impl Runner {
    /// `restore` of keys: done only with the loss that was accepted.
    pub(crate) async fn do_restore_keys(&mut self, step: &Step, restore: &RestoreKeys) -> Result<Flow, Stop> {
        let same = match self.guarded(step, None, self.same_loss_of_keys(step, restore)).await {
            Ok(same) => same,
            Err(signal) => return self.interrupted(step, signal).await,
        };
        if let Err(error) = same {
            return self.halt_on(&step.id, error).await.map(Flow::End);
        }
        Box::pin(self.do_outside(step)).await
    }

    async fn same_loss_of_keys(&self, step: &Step, restore: &RestoreKeys) -> Result<(), StepError> {
        let now = Box::pin(verb::restore_keys::loss(self.job(step), restore)).await?;
        // Nothing is lost: it was done, and its outcome is not journaled yet.
        if now.is_empty() {
            return Ok(());
        }
        same_figures(&self.accepted_of(step), &now)
    }

    /// The loss of a step that was accepted with the way back.
    pub(crate) fn accepted_of(&self, step: &Step) -> Vec<LossLine> {
        let back = self.state.phase.back();
        let lines = back.map(|back| back.loss.iter().filter(|line| line.step == step.id).cloned().collect());
        lines.unwrap_or_default()
    }

    /// Whether the step was begun and did not come to its end.
    pub(crate) fn is_begun(&self, step: &Step) -> bool {
        matches!(self.state.steps.get(&step.id), Some(StepState::Started { .. } | StepState::Failed { .. }))
    }

    /// The checks that a step ensures, for one whose effect is outside any transaction of ours.
    pub(crate) async fn must_be_ensured(&mut self, step: &Step) -> Result<(), StepError> {
        let program = self.program.clone();
        for check in program.expand(&step.ensures) {
            let verdict = self.evaluate(check).await.verdict;
            if !verdict.holds() {
                return Err(StepError::not_holding(&program, check, verdict));
            }
        }
        Ok(())
    }
}
