//! Ways back: by undo, newest effect first, or along a written way.

use tidegate_runbook::{Action, MoveFlags, Name, RekeyMode, Step};

use crate::crash::{self, Site};
use crate::ending::Ending;
use crate::error::StepError;
use crate::event::{Back, Event, LossLine};
use crate::loss;
use crate::outcome::Outcome;
use crate::program::{is_done, is_only_unless, moved_from, stands};
use crate::runner::forward::Flow;
use crate::runner::{Runner, Stop};
use crate::state::{GoingBack, Phase, StepState};
use crate::verb;

/// What going back would do, before any of it is done.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct BackPlan {
    /// By undo or along a way.
    pub back: Back,
    /// Undone or run, in order.
    pub order: Vec<Name>,
    /// What would be lost.
    pub loss: Vec<LossLine>,
}

impl BackPlan {
    /// What `--accept-loss` must repeat; empty if nothing is lost.
    #[must_use]
    pub fn figures(&self) -> String {
        loss::figures(&self.loss)
    }
}

impl Runner {
    /// Says what going back would do and lose. A way back that is under way is gone on with.
    ///
    /// # Errors
    /// [`StepError::Refused`] if there is no such way back.
    pub async fn plan_back(&self, back: Back) -> Result<BackPlan, StepError> {
        if let Some(GoingBack { back: under_way, order, loss: accepted }) = self.state.phase.back() {
            if *under_way != back {
                return Err(StepError::refused(
                    "another way back is under way",
                    "Go on with that one first: give the same --to or --way again.",
                ));
            }
            let order = order.clone();
            let to_come = self.loss_still_to_come(&back, &order).await?;
            // What was accepted and is no more than that stays accepted; anything else is accepted anew.
            let known = |line: &LossLine| {
                let same = |known: &&LossLine| known.table == line.table && known.step == line.step;
                accepted.iter().find(same).is_some_and(|known| known.rows == line.rows)
            };
            let loss = if to_come.iter().all(known) { accepted.clone() } else { to_come };
            return Ok(BackPlan { back, order, loss });
        }
        match &back {
            Back::Undo { to } => {
                let order = self.undo_order(to.as_ref())?;
                for step in order.iter().filter_map(|id| self.program.step(id)) {
                    self.must_have_inverse(step)?;
                }
                let loss = self.preview_loss(&order).await?;
                Ok(BackPlan { back, order, loss })
            }
            Back::Way { way, .. } => {
                let program = self.program.clone();
                let known = program.way(way).ok_or_else(|| {
                    let names: Vec<&str> = program.runbook.ways.iter().map(|way| way.id.as_str()).collect();
                    StepError::refused(
                        format!("the page has no way {way}"),
                        format!(
                            "Its ways are: {}.",
                            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
                        ),
                    )
                })?;
                self.must_lead_from_here(known)?;
                // What only an `@unless` asks is no step of its own, here as in a stage.
                let own = known.steps.iter().filter(|step| !is_only_unless(step));
                let order = own.map(|step| step.id.clone()).collect();
                let loss = self.loss_of_way(known).await?;
                Ok(BackPlan { back, order, loss })
            }
        }
    }

    /// What the rest of a way back would lose now: it may be another than what was accepted when it began.
    async fn loss_still_to_come(&self, back: &Back, order: &[Name]) -> Result<Vec<LossLine>, StepError> {
        match back {
            Back::Undo { .. } => {
                let standing =
                    |id: &&Name| self.program.step(id).is_some_and(|step| stands(&self.state, step));
                let rest: Vec<Name> = order.iter().filter(standing).cloned().collect();
                self.preview_loss(&rest).await
            }
            Back::Way { way, .. } => {
                let program = self.program.clone();
                let Some(known) = program.way(way) else { return Ok(Vec::new()) };
                self.loss_of_way(known).await
            }
        }
    }

    /// What a written way would lose: by its restores, and by its own statements.
    async fn loss_of_way(&self, way: &tidegate_runbook::Way) -> Result<Vec<LossLine>, StepError> {
        let mut loss = Vec::new();
        for step in way.steps.iter().filter(|step| !is_done(&self.state, &step.id)) {
            if let Action::Restore(restore) = &step.action {
                let outcome = self.outcome_of(&restore.backup)?;
                loss.extend(Box::pin(verb::restore::loss(self.job(step), &self.home, &outcome)).await?);
            }
            if let Action::RestoreKeys(restore) = &step.action {
                loss.extend(Box::pin(verb::restore_keys::loss(self.job(step), restore)).await?);
            }
        }
        loss.extend(self.preview_way(way).await?);
        Ok(loss)
    }

    /// Goes back as planned. The caller has shown the loss and had its figures repeated.
    pub async fn go_back(&mut self, plan: BackPlan) -> Ending {
        match Box::pin(self.follow_back(plan)).await {
            Ok(ending) => ending,
            Err(stop) => self.stopped(stop),
        }
    }

    async fn follow_back(&mut self, plan: BackPlan) -> Result<Ending, Stop> {
        match self.state.phase {
            Phase::Halted { back: Some(_), .. } | Phase::Waiting { back: Some(_), .. } => {
                let resumed = Event::Resumed { by: self.by.clone(), ended_backends: 0 };
                self.commit(vec![resumed]).await?;
            }
            _ => {}
        }
        // Begun now, or accepted anew with other figures than before.
        match self.state.phase.back() {
            Some(under_way) if under_way.loss == plan.loss => {}
            _ => {
                self.commit(vec![Event::RollbackStarted {
                    back: plan.back.clone(),
                    order: plan.order.clone(),
                    loss: plan.loss.clone(),
                    by: self.by.clone(),
                }])
                .await?;
                crash::point(Site::RollbackStarted, "-");
            }
        }
        let program = self.program.clone();
        for id in &plan.order {
            if let Some(ending) = self.between_steps().await? {
                return Ok(ending);
            }
            let Some(step) = program.step(id) else { continue };
            let flow = match &plan.back {
                Back::Undo { .. } => Box::pin(self.undo(step, &plan.loss)).await?,
                Back::Way { .. } => Box::pin(self.do_step(step)).await?,
            };
            if let Flow::End(ending) = flow {
                return Ok(ending);
            }
        }
        if let Some(ending) = self.ensure_at_the_end(&plan.back).await? {
            return Ok(ending);
        }
        self.end_back(plan).await
    }

    async fn end_back(&mut self, plan: BackPlan) -> Result<Ending, Stop> {
        let restored = plan
            .order
            .iter()
            .any(|id| matches!(self.program.step(id).map(|step| &step.action), Some(Action::Restore(_))));
        let at = if restored { None } else { plan.back.destination().cloned() };
        let mut forgotten = self.program.steps_after(at.as_ref());
        // What was held after a stage that was taken back is held again.
        forgotten.extend(self.program.stages_after(at.as_ref()).map(|stage| stage.id.clone()));
        // A way can be taken again, in a later run of the same page.
        if let Back::Way { .. } = &plan.back {
            forgotten.extend(plan.order.iter().cloned());
        }
        self.commit(vec![Event::RollbackEnded { at: at.clone(), forgotten }]).await?;
        Ok(match at {
            None => Ending::RolledBack { loss: plan.loss },
            Some(stage) => Ending::RolledBack { loss: plan.loss }.at(&stage, &self.program.runbook.contacts),
        })
    }

    /// Standing effects after a stage, newest first.
    pub(super) fn undo_order(&self, to: Option<&Name>) -> Result<Vec<Name>, StepError> {
        if let Some(to) = to
            && self.program.runbook.stage(to).is_none()
        {
            let stages: Vec<&str> =
                self.program.runbook.stages.iter().map(|stage| stage.id.as_str()).collect();
            return Err(StepError::refused(
                format!("the page has no stage {to}"),
                format!("Its stages are: start, {}.", stages.join(", ")),
            ));
        }
        let after = self.program.steps_after(to);
        Ok(self
            .state
            .started
            .iter()
            .rev()
            .filter(|id| after.contains(id))
            .filter(|id| {
                self.program.step(id).is_some_and(|step| has_effect(step) && stands(&self.state, step))
            })
            .cloned()
            .collect())
    }

    /// Refuses a step that no inverse leads back from, and names the ways that do.
    fn must_have_inverse(&self, step: &Step) -> Result<(), StepError> {
        let has = match &step.action {
            Action::Migrate(migrate) => migrate.undo.is_some(),
            Action::Seal(_) | Action::Retire(_) | Action::Backfill(_) => true,
            Action::Flags(flags) => return self.must_move_back(step, flags),
            _ => false,
        };
        if has {
            return Ok(());
        }
        let stage = self.program.stage_of(&step.id).map(|stage| stage.id.clone());
        let ways: Vec<String> = self
            .program
            .runbook
            .ways
            .iter()
            .filter(|way| stage.as_ref().is_some_and(|stage| way.from.contains(stage)))
            .map(|way| format!("tidegate rollback --way {}", way.id))
            .collect();
        let next = if ways.is_empty() {
            "No written way leads back from it either.".to_owned()
        } else {
            format!("A written way leads back from it: {}", ways.join(" or "))
        };
        Err(StepError::refused(format!("{} has no inverse", step.id), next))
    }

    /// A move of flags is taken back only where the page declares the move back.
    fn must_move_back(&self, step: &Step, flags: &MoveFlags) -> Result<(), StepError> {
        let from = match self.state.steps.get(&step.id).and_then(StepState::outcome) {
            Some(outcome) => outcome.texts.get("from").map(String::as_str),
            None => moved_from(&self.state, &step.id, flags),
        };
        match from {
            Some(from) if from == flags.to.as_str() => Ok(()),
            Some(from) => verb::flags::must_lead_back(self.job(step), &flags.set, flags.to.as_str(), from),
            // It was done already when it was reached: there is nothing to take back.
            None => Ok(()),
        }
    }

    fn must_lead_from_here(&self, way: &tidegate_runbook::Way) -> Result<(), StepError> {
        let here = self.program.runbook.stages.iter().rev().find(|stage| {
            !stage.manual && stage.steps.iter().any(|step| self.state.steps.contains_key(&step.id))
        });
        match here {
            Some(stage) if way.from.contains(&stage.id) => Ok(()),
            here => {
                let names: Vec<&str> = way.from.iter().map(Name::as_str).collect();
                Err(StepError::refused(
                    format!(
                        "way {} leads back from {}, and the run stands in {}",
                        way.id,
                        names.join(", "),
                        here.map_or("no stage", |stage| stage.id.as_str())
                    ),
                    "Take another way back: tidegate rollback --to STAGE",
                ))
            }
        }
    }

    /// What a step did, in this run.
    pub(super) fn outcome_of(&self, step: &Name) -> Result<Outcome, StepError> {
        self.state.steps.get(step).and_then(StepState::outcome).cloned().ok_or_else(|| {
            StepError::refused(
                format!("{step} is not complete in this run"),
                "Look at `tidegate status`: without it there is nothing to go back to.",
            )
        })
    }

    /// The loss of the undos, in their order, in a transaction that is rolled back.
    ///
    /// Each undo that changes rows is judged as it will be done: after those before it.
    async fn preview_loss(&self, order: &[Name]) -> Result<Vec<LossLine>, StepError> {
        let limits = &self.program.runbook.limits;
        self.home
            .run(&format!("BEGIN; SET LOCAL lock_timeout = {}", limits.lock_timeout.as_millis()))
            .await?;
        let lines = Box::pin(self.losses_in_order(order)).await;
        self.home.run("ROLLBACK").await?;
        lines
    }

    /// The loss of a way's own statements, each after those before it, in a transaction that is rolled back. What
    /// comes after a restore cannot be judged before it: its gate refuses any loss.
    async fn preview_way(&self, way: &tidegate_runbook::Way) -> Result<Vec<LossLine>, StepError> {
        let limits = &self.program.runbook.limits;
        self.home
            .run(&format!("BEGIN; SET LOCAL lock_timeout = {}", limits.lock_timeout.as_millis()))
            .await?;
        let lines = Box::pin(self.losses_of_way(way)).await;
        self.home.run("ROLLBACK").await?;
        lines
    }

    async fn losses_of_way(&self, way: &tidegate_runbook::Way) -> Result<Vec<LossLine>, StepError> {
        let mut lines = Vec::new();
        for step in &way.steps {
            match &step.action {
                Action::Restore(_) => break,
                Action::Migrate(migrate)
                    if !migrate.outside_transaction && !is_done(&self.state, &step.id) =>
                {
                    let job = self.job(step);
                    lines.extend(loss::of_way_step(&self.home, job, migrate).await?);
                    verb::migrate::statements(&self.home, job, &migrate.body).await?;
                }
                _ => {}
            }
        }
        Ok(lines)
    }

    async fn losses_in_order(&self, order: &[Name]) -> Result<Vec<LossLine>, StepError> {
        let steps: Vec<&Step> = order.iter().filter_map(|id| self.program.step(id)).collect();
        let rehearsed = steps.iter().any(|step| loss::is_rehearsed(step));
        let mut lines = Vec::new();
        for step in steps {
            if !is_done(&self.state, &step.id) {
                // What was moved or copied in part loses no rows when it is taken back.
                continue;
            }
            let outcome = self.outcome_of(&step.id)?;
            lines.extend(loss::of_step(&self.home, &step.id, &outcome).await?);
            if !rehearsed {
                continue;
            }
            let job = self.job(step);
            match &step.action {
                Action::Migrate(migrate) => {
                    lines.extend(loss::of_undo(&self.home, job, migrate, &outcome).await?);
                    verb::migrate::undo(&self.home, job, migrate).await?;
                }
                Action::Seal(_) => drop(verb::seal::undo(&self.home, job).await?),
                Action::Retire(retire) => drop(verb::retire::undo(&self.home, job, retire).await?),
                Action::Backfill(backfill) => drop(verb::backfill::undo(&self.home, job, backfill).await?),
                _ => {}
            }
        }
        Ok(lines)
    }

    /// Read-only steps of the stages that a way ensures must hold at its end.
    async fn ensure_at_the_end(&mut self, back: &Back) -> Result<Option<Ending>, Stop> {
        let Back::Way { way, .. } = back else { return Ok(None) };
        let program = self.program.clone();
        let Some(way) = program.way(way) else { return Ok(None) };
        for step in program.expand(&way.ensures) {
            if !matches!(step.action, Action::Check(_)) {
                continue;
            }
            let verdict = self.evaluate(step).await.verdict;
            if !verdict.holds() {
                let error = StepError::not_holding(&program, step, verdict);
                return self.halt_on(&step.id, error).await.map(Some);
            }
        }
        Ok(None)
    }

    /// A tripped watch asks to go back to the state before its `@from`: done only if nothing is lost.
    pub(crate) async fn back_before(&mut self, watch: &Name, halted: Ending) -> Result<Ending, Stop> {
        let from = match self.program.step(watch).map(|step| &step.action) {
            Some(Action::Watch(of_page)) => of_page.from.clone().unwrap_or_else(|| watch.clone()),
            _ => return Ok(halted),
        };
        let stages: Vec<&tidegate_runbook::Stage> =
            self.program.runbook.stages.iter().filter(|stage| !stage.manual).collect();
        let at = stages
            .iter()
            .position(|stage| stage.id == from || stage.steps.iter().any(|step| step.id == from))
            .unwrap_or(0);
        let to = at.checked_sub(1).and_then(|before| stages.get(before)).map(|stage| stage.id.clone());
        match self.plan_back(Back::Undo { to }).await {
            Ok(plan) if plan.loss.is_empty() => self.follow_back(plan).await,
            Ok(plan) => Ok(with_next(
                halted,
                format!(
                    "The watch asks to go back, and rows of others would be lost: {}. Decide: tidegate rollback",
                    plan.figures()
                ),
            )),
            Err(error) => {
                Ok(with_next(halted, format!("The watch asks to go back, and that is refused: {error}")))
            }
        }
    }

    /// `restore`: a transaction of its own, with the journal in it.
    pub(crate) async fn do_restore(
        &mut self,
        step: &Step,
        restore: &tidegate_runbook::Restore,
    ) -> Result<Flow, Stop> {
        let backup = match self.outcome_of(&restore.backup) {
            Ok(outcome) => outcome,
            Err(error) => return self.halt_on(&step.id, error).await.map(Flow::End),
        };
        if let Err(error) = self.same_restore_loss(step, &backup).await {
            return self.halt_on(&step.id, error).await.map(Flow::End);
        }
        self.intend(step).await?;
        let passed = {
            let job = self.job(step);
            let events = |outcome: &Outcome| {
                vec![Event::StepDone {
                    step: step.id.clone(),
                    attempt: job.attempt,
                    outcome: outcome.clone(),
                }]
            };
            let work = Box::pin(verb::restore::perform(&self.home, job, restore, &backup, self.head, events));
            match self.guarded(step, Some(self.home.cancel_handle()), work).await {
                Ok(passed) => passed,
                Err(signal) => return self.interrupted(step, signal).await,
            }
        };
        self.after_gate(step, passed).await
    }

    /// The figures that were accepted are still the figures.
    async fn same_restore_loss(&self, step: &Step, backup: &Outcome) -> Result<(), StepError> {
        let accepted: Vec<LossLine> = self
            .state
            .phase
            .back()
            .map(|back| back.loss.iter().filter(|line| line.step == step.id).cloned().collect())
            .unwrap_or_default();
        let now = Box::pin(verb::restore::loss(self.job(step), &self.home, backup)).await?;
        same_figures(&accepted, &now)
    }
}

/// Whether undoing the step changes anything.
fn has_effect(step: &Step) -> bool {
    if let Action::Rekey(moved) = &step.action {
        return moved.mode != RekeyMode::Dry;
    }
    matches!(
        step.action,
        Action::Migrate(_)
            | Action::Seal(_)
            | Action::Retire(_)
            | Action::Backfill(_)
            | Action::Flags(_)
            | Action::Command(_)
    )
}

pub(crate) fn same_figures(accepted: &[LossLine], now: &[LossLine]) -> Result<(), StepError> {
    let (was, is) = (loss::figures(accepted), loss::figures(now));
    if was == is {
        return Ok(());
    }
    let shown = |figures: &str| if figures.is_empty() { "nothing".to_owned() } else { figures.to_owned() };
    Err(StepError::refused(
        format!("what would be lost has changed: {} was accepted, and now it is {}", shown(&was), shown(&is)),
        "Nothing was undone. Look at the new loss statement and repeat its figures.",
    ))
}

fn with_next(ending: Ending, line: String) -> Ending {
    match ending {
        Ending::Halted { step, reason, message, mut next, contacts } => {
            next.insert(0, line);
            Ending::Halted { step, reason, message, next, contacts }
        }
        other => other,
    }
}

impl Ending {
    /// The way back ended at a stage, not at the start: the run is halted there.
    fn at(self, stage: &Name, contacts: &[String]) -> Self {
        Self::Halted {
            step: None,
            reason: crate::event::HaltReason::WentBack,
            message: format!("Went back to the state after stage {stage}."),
            next: vec![
                "Go forward again from there: tidegate run --apply --actor NAME".to_owned(),
                "Or back to the start: tidegate rollback --to start".to_owned(),
            ],
            contacts: contacts.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_figures_are_refused_with_both() {
        let step = Name::parse("s").unwrap();
        let line = |rows| LossLine { step: step.clone(), table: "t".to_owned(), rows, newest: None };
        assert!(same_figures(&[line(1)], &[line(1)]).is_ok());
        let error = same_figures(&[], &[line(2)]).unwrap_err().to_string();
        assert!(error.contains("nothing was accepted, and now it is t=2"), "{error}");
    }
}
