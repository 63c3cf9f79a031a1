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
        if let Err(error) = self.same_loss_of_keys(step, restore).await {
            return self.halt_on(&step.id, error).await.map(Flow::End);
        }
        Box::pin(self.do_outside(step)).await
    }

    async fn same_loss_of_keys(&self, step: &Step, restore: &RestoreKeys) -> Result<(), StepError> {
        let now = Box::pin(verb::restore_keys::loss(self.job(step), restore)).await?;
        let of_step = |line: &&LossLine| line.step == step.id;
        let accepted: Vec<LossLine> = self
            .state
            .phase
            .back()
            .map(|back| back.loss.iter().filter(of_step).cloned().collect())
            .unwrap_or_default();
        if self.is_begun(step) && is_part_of(&now, &accepted) {
            return Ok(());
        }
        same_figures(&accepted, &now)
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
                let (step, says) = (check.id.clone(), check.says.clone());
                return Err(StepError::NotHolding { step, says, verdict });
            }
        }
        Ok(())
    }
}

/// Whether what is left to lose is within what was accepted: an attempt that was cut off has lost the rest.
pub(crate) fn is_part_of(now: &[LossLine], accepted: &[LossLine]) -> bool {
    now.iter().all(|line| {
        accepted
            .iter()
            .any(|known| known.step == line.step && known.table == line.table && known.rows >= line.rows)
    })
}

#[cfg(test)]
mod tests {
    use tidegate_runbook::Name;

    use super::*;

    #[test]
    fn what_is_left_of_an_accepted_loss_is_accepted_and_nothing_more() {
        let line = |table: &str, rows| LossLine {
            step: Name::parse("s").unwrap(),
            table: table.to_owned(),
            rows,
            newest: None,
        };
        let accepted = [line("keys.overwritten", 5), line("keys.removed", 2)];
        assert!(is_part_of(&[], &accepted));
        assert!(is_part_of(&[line("keys.removed", 2), line("keys.overwritten", 1)], &accepted));
        assert!(!is_part_of(&[line("keys.removed", 3)], &accepted));
        assert!(!is_part_of(&[line("other.removed", 1)], &accepted));
    }
}
