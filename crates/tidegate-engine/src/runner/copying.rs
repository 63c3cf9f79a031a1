//! Backfill steps: chunk after chunk outside of any gate, then the outcome and the version in one.

use tidegate_runbook::{Backfill, BackfillSource, Step};
use tidegate_store::postgres::Session;

use crate::event::Event;
use crate::gate::{self, Gate};
use crate::observer::Progress;
use crate::outcome::Outcome;
use crate::runner::forward::Flow;
use crate::runner::{Runner, Stop};
use crate::verb::backfill::{self, Ended, Surroundings};

impl Runner {
    /// Copies until every range is done. Between chunks, what other processes ask is followed.
    pub(crate) async fn do_backfill(&mut self, step: &Step, asked: &Backfill) -> Result<Flow, Stop> {
        self.intend(step).await?;
        self.progress(Progress::Working { step: step.id.clone(), what: backfill::plan(asked) });
        let begun = jiff::Timestamp::now();
        let mut outcome = loop {
            let ended = {
                let inbox = self.inbox.clone();
                let observer = self.observer.clone();
                let around = Surroundings {
                    wanted: &move || !inbox.borrow().is_empty(),
                    tell: &move |progress| observer.borrow_mut().progress(progress),
                    knobs: self.state.knobs.get(&step.id).cloned().unwrap_or_default(),
                };
                let work = backfill::perform(self.job(step), asked, &around);
                match self.guarded(step, None, work).await {
                    Ok(ended) => ended,
                    Err(signal) => return self.interrupted(step, signal).await,
                }
            };
            match ended {
                Ok(Ended::Complete(outcome)) => break *outcome,
                Ok(Ended::Yielded) => {
                    if let Some(ending) = self.between_steps().await? {
                        return Ok(Flow::End(ending));
                    }
                }
                Err(error) => return self.halt_on(&step.id, error).await.map(Flow::End),
            }
        };
        outcome.took_ms = gate::milliseconds_since(begun);
        let program = self.program.clone();
        let gate = Gate {
            versioned: asked.version.is_some(),
            ensures: program.expand(&step.ensures),
            ..Gate::default()
        };
        let passed = {
            let job = self.job(step);
            let events = |passed: &Outcome| {
                let outcome =
                    Outcome { held: passed.held.clone(), transaction: passed.transaction, ..outcome.clone() };
                vec![Event::StepDone { step: step.id.clone(), attempt: job.attempt, outcome }]
            };
            let deed = async |session: &Session| {
                backfill::add_version(session, job, asked).await?;
                Ok(Outcome::default())
            };
            gate::pass(&self.home, job, self.head, &gate, deed, events).await
        };
        self.after_gate(step, passed).await
    }
}

/// Whether a backfill repairs differences, in one gate.
pub(crate) fn is_repair(backfill: &Backfill) -> bool {
    matches!(backfill.source, BackfillSource::Differences(_))
}
