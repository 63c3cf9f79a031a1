//! Taking back one step: only the newest effect, so that nothing stands on what is gone.

use tidegate_runbook::Name;

use crate::error::StepError;
use crate::event::Back;
use crate::runner::Runner;
use crate::runner::back::BackPlan;

impl Runner {
    /// Says what undoing one step would do and lose.
    ///
    /// # Errors
    /// [`StepError::Refused`] while newer effects stand, which it names, or if its stage holds other effects.
    pub async fn plan_back_step(&self, step: &Name) -> Result<BackPlan, StepError> {
        let stage = self.program.stage_of(step).filter(|stage| !stage.manual).ok_or_else(|| {
            StepError::refused(
                format!("{step} is no step of a stage that runs by itself"),
                "Name one that is: tidegate check lists them.",
            )
        })?;
        let standing = self.undo_order(None)?;
        let newer: Vec<&str> = standing.iter().take_while(|known| *known != step).map(Name::as_str).collect();
        if newer.len() == standing.len() {
            return Err(StepError::refused(
                format!("{step} has no effect that stands in this run"),
                "See what stands: tidegate status",
            ));
        }
        if let Some(newest) = newer.first() {
            return Err(StepError::refused(
                format!("newer effects stand on top of {step}: {}", newer.join(", ")),
                format!("Undo them first, the newest first: tidegate rollback --step {newest}"),
            ));
        }
        let stages: Vec<_> = self.program.runbook.stages.iter().filter(|known| !known.manual).collect();
        let at = stages.iter().position(|known| known.id == stage.id).unwrap_or(0);
        let to = at.checked_sub(1).and_then(|before| stages.get(before)).map(|before| before.id.clone());
        let plan = self.plan_back(Back::Undo { to: to.clone() }).await?;
        let others: Vec<&str> = plan.order.iter().filter(|known| *known != step).map(Name::as_str).collect();
        if others.is_empty() {
            return Ok(plan);
        }
        Err(StepError::refused(
            format!(
                "stage {} holds other effects, which would be undone along: {}",
                stage.id,
                others.join(", ")
            ),
            format!(
                "Undo the stage as a whole: tidegate rollback --to {}",
                to.as_ref().map_or("start", Name::as_str)
            ),
        ))
    }
}
