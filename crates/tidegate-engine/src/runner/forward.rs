//! The way forward: stage by stage, step by step, until something does not hold.

use tidegate_runbook::{Action, Name, Step};

use crate::crash::{self, Site};
use crate::ending::Ending;
use crate::event::Event;
use crate::program::is_done;
use crate::runner::copying::is_repair;
use crate::runner::{Runner, Stop};

/// What a step leads to.
pub(crate) enum Flow {
    /// The next one.
    Next,
    /// The command's end.
    End(Ending),
}

impl Runner {
    /// Goes forward until all stages are complete or something does not hold.
    pub async fn forward(&mut self) -> Ending {
        match Box::pin(self.go_forward()).await {
            Ok(ending) => ending,
            Err(stop) => self.stopped(stop),
        }
    }

    /// Runs a manual stage, beside the run's position.
    pub async fn manual_stage(&mut self, stage: &Name) -> Ending {
        match Box::pin(self.run_manual(stage)).await {
            Ok(ending) => ending,
            Err(stop) => self.stopped(stop),
        }
    }

    pub(crate) fn stopped(&self, stop: Stop) -> Ending {
        let redactor = self.redactor();
        match stop {
            Stop::LeaseLost(why) => Ending::LeaseLost { message: redactor.redact(&why) },
            Stop::InDoubt(why) => Ending::InDoubt {
                message: redactor.redact(&why),
                next: vec![
                    "Nothing is guessed: when the store answers again, `tidegate run` reads the journal and goes on \
                     from what is certain."
                        .to_owned(),
                ],
            },
            Stop::Drift { message, next } => Ending::Drift { message: redactor.redact(&message), next: vec![next] },
        }
    }

    async fn go_forward(&mut self) -> Result<Ending, Stop> {
        let program = self.program.clone();
        if let Some(drift) = self.versions_drift().await? {
            return Err(drift);
        }
        if let Some(ending) = self.prechecks().await? {
            return Ok(ending);
        }
        loop {
            if let Some(ending) = self.between_steps().await? {
                return Ok(ending);
            }
            let Some(next) = self.next_work() else {
                self.commit(vec![Event::Finished {}]).await?;
                crash::point(Site::Finished, program.runbook.id.as_str());
                return Ok(Ending::Done {
                    what: format!("all stages of {} are complete", program.runbook.id),
                });
            };
            let flow = match next {
                Work::Step(id) => {
                    let Some(step) = program.step(&id) else { continue };
                    if let Some(ending) = self.open_watches(&id).await? {
                        return Ok(ending);
                    }
                    let flow = Box::pin(self.do_step(step)).await?;
                    self.close_watches().await?;
                    flow
                }
                Work::Hold(stage) => Box::pin(self.hold(&stage)).await?,
            };
            if let Flow::End(ending) = flow {
                return Ok(ending);
            }
        }
    }

    async fn run_manual(&mut self, stage: &Name) -> Result<Ending, Stop> {
        let program = self.program.clone();
        let Some(stage) = program.runbook.stage(stage) else {
            return Ok(Ending::Done { what: "nothing".to_owned() });
        };
        for step in program.runnable(stage) {
            if let Some(ending) = self.between_steps().await? {
                return Ok(ending);
            }
            if let Flow::End(ending) = Box::pin(self.do_step(step)).await? {
                return Ok(ending);
            }
        }
        Ok(Ending::Done { what: format!("stage {} is complete", stage.id) })
    }

    /// The first thing, in document order, that is still to be done.
    fn next_work(&self) -> Option<Work> {
        for stage in self.program.runbook.stages.iter().filter(|stage| !stage.manual) {
            if let Some(step) = self.program.runnable(stage).find(|step| !is_done(&self.state, &step.id)) {
                return Some(Work::Step(step.id.clone()));
            }
            let held = self.state.holds.get(&stage.id).is_some_and(|hold| hold.complete);
            if stage.hold.is_some() && !held {
                return Some(Work::Hold(stage.id.clone()));
            }
        }
        None
    }

    /// The step that would follow `step` if that were complete, if it goes through a gate right away.
    pub(crate) fn next_gated_after(&self, step: &Step) -> Option<&Step> {
        let mut after = false;
        for (stage, known) in self.program.runbook.steps() {
            if known.id == step.id {
                after = true;
                if stage.manual || self.program.way_of(&step.id).is_some() {
                    return None;
                }
            } else if after {
                let same_stage = stage.steps.iter().any(|of_stage| of_stage.id == step.id);
                let plain = known.unless.is_none()
                    && known.action_is_gated()
                    && !matches!(known.action, Action::Flags(_))
                    && !stage.manual;
                return (same_stage && plain && !is_done(&self.state, &known.id)).then_some(known);
            }
        }
        None
    }
}

/// What is to be done next.
enum Work {
    /// A step.
    Step(Name),
    /// A stage's hold.
    Hold(Name),
}

/// Steps that go through a gate transaction.
pub(crate) trait Gated {
    /// Whether it does.
    fn action_is_gated(&self) -> bool;
}

impl Gated for Step {
    fn action_is_gated(&self) -> bool {
        match &self.action {
            Action::Migrate(migrate) => !migrate.outside_transaction,
            Action::Seal(_) | Action::Retire(_) | Action::Flags(_) => true,
            Action::Backfill(backfill) => is_repair(backfill),
            Action::Record(_)
            | Action::Check(_)
            | Action::Compare(_)
            | Action::Backup(_)
            | Action::Restore(_)
            | Action::BackupKeys(_)
            | Action::RestoreKeys(_)
            | Action::Rekey(_)
            | Action::Evict(_)
            | Action::Watch(_)
            | Action::Confirm(_)
            | Action::Command(_) => false,
        }
    }
}
