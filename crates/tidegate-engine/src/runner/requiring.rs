//! `@requires`: what must hold or be complete before a step, and what the gate evaluates again.

use tidegate_runbook::{Action, Compare, Name, Question, Step, Via};

use crate::error::StepError;
use crate::event::Event;
use crate::gate::Gate;
use crate::question::Answered;
use crate::runner::{Runner, Stop};
use crate::state::StepState;
use crate::verdict::Verdict;

/// How long a read-only result may be relied on when its step says nothing.
const VALID_DEFAULT: std::time::Duration = std::time::Duration::from_secs(300);

/// What `@requires` comes to for one step.
pub(crate) enum Required {
    /// All of it holds or will be judged in the gate.
    Holds,
    /// Something does not.
    Refused(StepError),
}

/// Whether a check can be evaluated on the gate's own connection.
pub(crate) fn fits_gate(step: &Step, home: &Name) -> bool {
    let of_home = step.store.as_ref().is_none_or(|store| store == home);
    let sql = matches!(&step.action, Action::Check(check) if matches!(check.question, Question::Sql(_)));
    sql && of_home && step.login.is_none() && step.via == Via::Direct
}

/// A comparison whose finding the step relies on; one that keeps differences is relied on for those.
fn certificate(step: &Step) -> Option<(&Step, &Compare)> {
    match &step.action {
        Action::Compare(compare) if !compare.expect_differences => Some((step, compare)),
        _ => None,
    }
}

impl Runner {
    /// Checks all that `step` requires. With `gated`, checks that fit the gate are left to it.
    pub(crate) async fn require(&mut self, step: &Step, gated: bool) -> Result<Required, Stop> {
        let program = self.program.clone();
        for required in program.expand(&step.requires) {
            if gated && fits_gate(required, self.doors.home()) {
                continue;
            }
            let refused = match &required.action {
                Action::Check(_) => self.must_hold_now(required, gated).await?,
                Action::Compare(compare) if gated || compare.expect_differences => {
                    self.must_be_done(required)
                }
                Action::Compare(_) => self.must_hold_now(required, gated).await?,
                Action::Watch(_) => self.watch_must_stand(required),
                Action::Record(_) => self.must_be_done(required),
                Action::Confirm(_) => self.must_be_approved(required),
                Action::Backup(_)
                | Action::Restore(_)
                | Action::BackupKeys(_)
                | Action::RestoreKeys(_)
                | Action::Rekey(_)
                | Action::Migrate(_)
                | Action::Seal(_)
                | Action::Retire(_)
                | Action::Evict(_)
                | Action::Backfill(_)
                | Action::Flags(_)
                | Action::Command(_) => self.must_be_done(required),
            };
            if let Some(error) = refused {
                return Ok(Required::Refused(error));
            }
        }
        Ok(Required::Holds)
    }

    /// What the gate of `step` must see to.
    pub(crate) fn gate_of<'a>(&self, program: &'a crate::program::Program, step: &'a Step) -> Gate<'a> {
        let required = program.expand(&step.requires);
        let (doomed, versioned) = match &step.action {
            Action::Migrate(migrate) => (
                migrate.body.statements.iter().flat_map(|statement| &statement.effect.destroys).collect(),
                migrate.version.is_some(),
            ),
            Action::Retire(retire) => (Vec::new(), retire.version.is_some()),
            Action::Backfill(backfill) => (Vec::new(), backfill.version.is_some()),
            _ => (Vec::new(), false),
        };
        let retired: &[String] = match &step.action {
            Action::Retire(retire) => &retire.tables,
            _ => &[],
        };
        Gate {
            doomed,
            retired,
            requires: required.iter().filter(|step| fits_gate(step, self.doors.home())).copied().collect(),
            seals: required.iter().filter(|step| matches!(step.action, Action::Seal(_))).copied().collect(),
            barrier: None,
            certificates: required.iter().filter_map(|step| certificate(step)).collect(),
            ensures: program.expand(&step.ensures),
            conserves: program.expand(&step.conserves),
            protect: program.protect(&step.id),
            versioned,
            known: self.known.clone(),
        }
    }

    fn must_be_done(&self, required: &Step) -> Option<StepError> {
        let id = &required.id;
        match self.state.steps.get(id) {
            Some(StepState::Done { at, .. }) => {
                let age = jiff::Timestamp::now().duration_since(*at).unsigned_abs();
                let valid = required.valid?;
                (age > valid).then(|| {
                    StepError::refused(
                        format!(
                            "{id} was completed {} s ago and is valid for {} s only",
                            age.as_secs(),
                            valid.as_secs()
                        ),
                        format!(
                            "Go back before {id} (`tidegate rollback`), or raise its `@valid`, and run again."
                        ),
                    )
                })
            }
            Some(StepState::Undone { .. }) => Some(StepError::refused(
                format!("{id} was taken back"),
                "Run again from there: `tidegate run`.",
            )),
            Some(StepState::Started { .. } | StepState::Failed { .. }) | None => Some(StepError::refused(
                format!("{id} is not complete in this run"),
                "It must be completed first; a manual stage is run with `tidegate run --stage NAME`.",
            )),
        }
    }

    fn must_be_approved(&self, required: &Step) -> Option<StepError> {
        let id = &required.id;
        let Some(approval) = self.state.approvals.get(id) else {
            return self.must_be_done(required);
        };
        let age = jiff::Timestamp::now().duration_since(approval.at).unsigned_abs();
        let valid = required.valid?;
        (age > valid).then(|| {
            StepError::refused(
                format!(
                    "the approval of {id} by {} is {} s old and was valid for {} s",
                    approval.by.actor,
                    age.as_secs(),
                    valid.as_secs()
                ),
                format!("Ask for it again: `tidegate approve {id} --actor NAME`."),
            )
        })
    }

    fn watch_must_stand(&self, required: &Step) -> Option<StepError> {
        use crate::state::WatchState;
        match self.state.watches.get(&required.id) {
            Some(WatchState::Open | WatchState::Closed) => None,
            Some(WatchState::Tripped) | None => Some(StepError::refused(
                format!("watch {} does not stand", required.id),
                "It must pass before the run goes on.",
            )),
        }
    }

    /// A check whose result is fresh counts; a stale one is evaluated again, and the answer journaled.
    async fn must_hold_now(&mut self, check: &Step, gated: bool) -> Result<Option<StepError>, Stop> {
        if !gated && self.is_fresh(check) {
            return Ok(None);
        }
        let answered = self.evaluate(check).await;
        let (holds, message) = match &answered.verdict {
            Verdict::Pass => (true, "holds".to_owned()),
            verdict => (false, verdict.to_string()),
        };
        let message = self.redactor().redact(&message);
        self.commit(vec![Event::Rechecked { step: check.id.clone(), holds, message }]).await?;
        Ok(match answered.verdict {
            Verdict::Pass => None,
            verdict => Some(StepError::not_holding(&self.program, check, verdict)),
        })
    }

    fn is_fresh(&self, check: &Step) -> bool {
        let now = jiff::Timestamp::now();
        let valid = check.valid.unwrap_or(VALID_DEFAULT);
        let fresh = |seq: u64, at: jiff::Timestamp| {
            seq > self.state.disturbed && now.duration_since(at).unsigned_abs() <= valid
        };
        let done = matches!(self.state.steps.get(&check.id), Some(StepState::Done { seq, at, .. }) if fresh(*seq, *at));
        let again = self
            .state
            .rechecked
            .get(&check.id)
            .is_some_and(|recheck| recheck.holds && fresh(recheck.seq, recheck.at));
        done || again
    }

    /// Evaluates a record or check on a connection of its own, which leaves nothing behind.
    pub(crate) async fn evaluate(&self, step: &Step) -> Answered {
        crate::evaluate::ask(self.job(step)).await
    }
}
