//! Taking one step back: in a gate of its own, with its exact loss, and nothing of others taken along.

use tidegate_runbook::{Action, Step};
use tidegate_store::postgres::Session;

use crate::catalog;
use crate::error::StepError;
use crate::event::{Event, LossLine};
use crate::gate::{self, Gate};
use crate::job::Job;
use crate::loss;
use crate::outcome::Outcome;
use crate::program::{is_done, stands};
use crate::runner::back::same_figures;
use crate::runner::forward::Flow;
use crate::runner::{Runner, Stop};
use crate::verb;

impl Runner {
    /// Takes one step back in a gate of its own.
    pub(super) async fn undo(&mut self, step: &Step, accepted: &[LossLine]) -> Result<Flow, Stop> {
        if !stands(&self.state, step) {
            return Ok(Flow::Next);
        }
        if let Action::Flags(flags) = &step.action {
            return Box::pin(self.undo_flags(step, flags)).await;
        }
        let outcome = match self.outcome_of(&step.id) {
            Ok(outcome) => outcome,
            // A part of it stands, which its inverse knows without an outcome.
            Err(_) if !is_done(&self.state, &step.id) => Outcome::default(),
            Err(error) => return self.halt_on(&step.id, error).await.map(Flow::End),
        };
        let accepted: Vec<LossLine> = accepted.iter().filter(|line| line.step == step.id).cloned().collect();
        let program = self.program.clone();
        let gate = Gate { protect: program.protect(&step.id), ..Gate::default() };
        let lost = std::cell::RefCell::new(Vec::new());
        let passed = {
            let job = self.job(step);
            let deed = async |session: &Session| {
                let (done, lines) = undo_in_gate(session, job, &outcome, &accepted).await?;
                *lost.borrow_mut() = lines;
                Ok(done)
            };
            let events =
                |_: &Outcome| vec![Event::StepUndone { step: step.id.clone(), loss: lost.borrow().clone() }];
            let work = gate::pass(&self.home, job, self.head, &gate, deed, events);
            match self.guarded(step, Some(self.home.cancel_handle()), work).await {
                Ok(passed) => passed,
                Err(signal) => return self.interrupted(step, signal).await,
            }
        };
        self.after_gate(step, passed).await
    }
}

/// Inside the gate: lock, exact loss, dependants of others, the undo, and that it took nothing else along.
async fn undo_in_gate(
    session: &Session,
    job: Job<'_>,
    outcome: &Outcome,
    accepted: &[LossLine],
) -> Result<(Outcome, Vec<LossLine>), StepError> {
    let done = match &job.step.action {
        Action::Seal(_) => verb::seal::undo(session, job).await?,
        Action::Retire(retire) => verb::retire::undo(session, job, retire).await?,
        Action::Backfill(backfill) => verb::backfill::undo(session, job, backfill).await?,
        Action::Migrate(migrate) => {
            lock_made(session, outcome).await?;
            let mut lines = loss::of_step(session, &job.step.id, outcome).await?;
            lines.extend(loss::of_undo(session, job, migrate, outcome).await?);
            same_figures(accepted, &lines)?;
            let foreign = catalog::dependants(session, &outcome.made).await?;
            if !foreign.is_empty() {
                return Err(StepError::refused(
                    format!("objects of others hang on what {} made: {}", job.step.id, foreign.join(", ")),
                    "Undo what made them first, or move them away. They are never dropped along, not even by CASCADE.",
                ));
            }
            let before = catalog::inventory(session).await?;
            let done = verb::migrate::undo(session, job, migrate).await?;
            must_take_only_its_own(session, &before, outcome).await?;
            return Ok((done, lines));
        }
        other => {
            return Err(StepError::refused(
                format!("{} has no inverse: `{}`", job.step.id, other.verb()),
                "Take a written way back.",
            ));
        }
    };
    Ok((done, Vec::new()))
}

async fn lock_made(session: &Session, outcome: &Outcome) -> Result<(), StepError> {
    for object in outcome.made.iter().filter(|object| object.catalog == "pg_class" && object.kind == "table")
    {
        let rows = session
            .query(
                "SELECT c.oid::regclass::text FROM pg_catalog.pg_class c WHERE c.oid = $1 AND c.relkind IN ('r', 'p')",
                &[(&object.oid, tokio_postgres::types::Type::OID)],
            )
            .await?;
        if let Some(row) = rows.first() {
            let name: String = row.get(0);
            session.run(&format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")).await?;
        }
    }
    Ok(())
}

/// What is gone must have been made by the step, or be a part of that.
async fn must_take_only_its_own(
    session: &Session,
    before: &catalog::Inventory,
    outcome: &Outcome,
) -> Result<(), StepError> {
    let gone = catalog::gone_since(session, before).await?;
    let own = |oid: u32, sub: i32| {
        outcome.made.iter().any(|made| made.oid == oid && (made.sub == sub || made.sub == 0))
    };
    let foreign = gone.iter().filter(|(oid, sub)| !own(*oid, *sub)).count();
    if foreign == 0 {
        return Ok(());
    }
    Err(StepError::refused(
        format!("the undo would take along {foreign} objects that its step did not make"),
        "Correct the `-- @undo`: it may drop only what its own step made.",
    ))
}
