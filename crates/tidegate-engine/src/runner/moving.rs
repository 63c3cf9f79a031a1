//! Steps that move flags: the move in one gate, then the wait until every instance has it.

use std::time::Duration;

use tidegate_flags::Current;
use tidegate_runbook::{MoveFlags, Name, Step};
use tidegate_store::postgres::{Session, TxOutcome, run_tx};

use crate::crash::{self, Site};
use crate::error::StepError;
use crate::event::Event;
use crate::gate::{self, Gate};
use crate::job::Job;
use crate::lease;
use crate::observer::Progress;
use crate::outcome::Outcome;
use crate::program::moved_from;
use crate::runner::forward::Flow;
use crate::runner::{Runner, Stop};
use crate::state::StepState;
use crate::verb::flags;

/// How often it is asked who has not drained.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How often a waiting person is told of them.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Who is told of those that keep a move waiting.
const TOLD_MAX: usize = 10;

impl Runner {
    /// Moves a flag set, and waits until the epoch is drained.
    pub(crate) async fn do_flags(&mut self, step: &Step, asked: &MoveFlags) -> Result<Flow, Stop> {
        self.intend(step).await?;
        self.progress(Progress::Working { step: step.id.clone(), what: flags::plan(asked) });
        let begun = jiff::Timestamp::now();
        let moved = match self.move_set(step, &asked.set, asked.to.as_str(), false).await? {
            Moved::To(outcome) => outcome,
            Moved::Not(flow) => return Ok(flow),
        };
        let program = self.program.clone();
        let gate = Gate { ensures: program.expand(&step.ensures), ..Gate::default() };
        let passed = {
            let job = self.job(step);
            let events = |passed: &Outcome| {
                let outcome = Outcome {
                    held: passed.held.clone(),
                    took_ms: gate::milliseconds_since(begun),
                    ..moved.clone()
                };
                vec![Event::StepDone { step: step.id.clone(), attempt: job.attempt, outcome }]
            };
            let nothing = async |_: &Session| Ok(Outcome::default());
            gate::pass(&self.home, job, self.head, &gate, nothing, events).await
        };
        let flow = self.after_gate(step, passed).await?;
        crash::point(Site::Outcome, step.id.as_str());
        Ok(flow)
    }

    /// Takes a move back: to the row that the step found.
    pub(crate) async fn undo_flags(&mut self, step: &Step, asked: &MoveFlags) -> Result<Flow, Stop> {
        let found = self.state.steps.get(&step.id).and_then(StepState::outcome);
        let to = match found {
            Some(outcome) => outcome.texts.get("from").cloned(),
            None => moved_from(&self.state, &step.id, asked).map(str::to_owned),
        };
        let Some(to) = to else {
            // It was done already when it was reached: there is nothing to take back.
            self.commit(vec![Event::StepUndone { step: step.id.clone(), loss: Vec::new() }]).await?;
            return Ok(Flow::Next);
        };
        match self.move_set(step, &asked.set, &to, true).await? {
            Moved::To(_) => {}
            Moved::Not(flow) => return Ok(flow),
        }
        self.commit(vec![Event::StepUndone { step: step.id.clone(), loss: Vec::new() }]).await?;
        Ok(Flow::Next)
    }

    /// Moves the set unless this very step has, and waits until the epoch is drained.
    async fn move_set(&mut self, step: &Step, set: &Name, to: &str, undo: bool) -> Result<Moved, Stop> {
        let found = {
            let job = self.job(step);
            let work = ready(&self.home, job, set);
            match self.guarded(step, Some(self.home.cancel_handle()), work).await {
                Ok(found) => found,
                Err(signal) => return self.interrupted(step, signal).await.map(Moved::Not),
            }
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => return self.halt_on(&step.id, error).await.map(Flow::End).map(Moved::Not),
        };
        let own = flags::mover(self.job(step), undo);
        let outcome = if found.row == to && found.moved_by.as_deref() == Some(own.as_str()) {
            let from = self.state.flags.get(set).and_then(|known| known.from.clone()).unwrap_or_default();
            flags::outcome(set, &from, &found)
        } else if found.row == to {
            // It is there already, by somebody else's move or an earlier run's: only the wait is left.
            let outcome = flags::outcome(set, &found.row, &found);
            self.commit(vec![flags::moved(&self.program, &step.id, set, &outcome)]).await?;
            outcome
        } else {
            match self.pass_move(step, set, to, undo).await? {
                Moved::To(outcome) => outcome,
                Moved::Not(flow) => return Ok(Moved::Not(flow)),
            }
        };
        crash::point(Site::FlagsMoved, step.id.as_str());
        let epoch = outcome.figures.get("epoch").copied().unwrap_or(0);
        match self.drain(step, set, epoch).await? {
            Some(flow) => Ok(Moved::Not(flow)),
            None => Ok(Moved::To(outcome)),
        }
    }

    /// The move itself.
    async fn pass_move(&mut self, step: &Step, set: &Name, to: &str, undo: bool) -> Result<Moved, Stop> {
        let program = self.program.clone();
        let gate = if undo {
            Gate { protect: program.protect(&step.id), barrier: Some(set), ..Gate::default() }
        } else {
            Gate { ensures: Vec::new(), barrier: Some(set), ..self.gate_of(&program, step) }
        };
        let kept = std::cell::RefCell::new(Outcome::default());
        let before = self.head;
        let passed = {
            let job = self.job(step);
            let deed = async |session: &Session| {
                let outcome = flags::perform(session, job, set, to, undo).await?;
                kept.replace(outcome.clone());
                Ok(outcome)
            };
            let events = |outcome: &Outcome| vec![flags::moved(&program, &step.id, set, outcome)];
            let work = gate::pass(&self.home, job, self.head, &gate, deed, events);
            match self.guarded(step, Some(self.home.cancel_handle()), work).await {
                Ok(passed) => passed,
                Err(signal) => return self.interrupted(step, signal).await.map(Moved::Not),
            }
        };
        let passed = self.with_writers(set, passed).await;
        match self.after_gate(step, passed).await? {
            Flow::Next if self.head != before => Ok(Moved::To(kept.into_inner())),
            flow => Ok(Moved::Not(flow)),
        }
    }

    /// A barrier that could not be closed names who keeps it open.
    async fn with_writers(
        &self,
        set: &Name,
        passed: TxOutcome<gate::Passed, StepError>,
    ) -> TxOutcome<gate::Passed, StepError> {
        let TxOutcome::RolledBack(StepError::Server { message, failure }) = passed else { return passed };
        let writers = tidegate_flags::open_writers(&self.home, set.as_str()).await.unwrap_or_default();
        if failure.sqlstate() != Some("55P03") || writers.is_empty() {
            return TxOutcome::RolledBack(StepError::Server { message, failure });
        }
        let named: Vec<String> = writers.iter().take(TOLD_MAX).map(ToString::to_string).collect();
        let message = format!("the barrier of {set} could not be closed: {}", named.join("; "));
        TxOutcome::RolledBack(StepError::Server { message, failure })
    }

    /// Waits until every instance has the epoch; the move stands meanwhile.
    async fn drain(&mut self, step: &Step, set: &Name, epoch: u64) -> Result<Option<Flow>, Stop> {
        let waited = {
            let work = self.drained(step, set, epoch);
            match self.guarded(step, Some(self.home.cancel_handle()), work).await {
                Ok(waited) => waited,
                Err(signal) => return self.interrupted(step, signal).await.map(Some),
            }
        };
        match waited {
            Ok(()) => Ok(None),
            Err(error) => self.halt_on(&step.id, error).await.map(Flow::End).map(Some),
        }
    }

    async fn drained(&self, step: &Step, set: &Name, epoch: u64) -> Result<(), StepError> {
        let limit = self.job(step).statement_timeout();
        let declared = self.program.runbook.flag_set(set).ok_or_else(|| {
            StepError::refused(format!("the page declares no flag set {set}"), "Declare it under `[flags]`.")
        })?;
        let begun = tokio::time::Instant::now();
        let mut told: Option<tokio::time::Instant> = None;
        loop {
            let blockers = flags::undrained(&self.home, declared, epoch).await?;
            if blockers.is_empty() {
                return Ok(());
            }
            let by: Vec<String> = blockers.iter().take(TOLD_MAX).map(ToString::to_string).collect();
            if begun.elapsed() >= limit {
                return Err(StepError::refused(
                    format!("{set} moved, and is not drained after {} s: {}", limit.as_secs(), by.join("; ")),
                    "The move stands. Stop or restart the instances that are named, with an environment that fits the row, and run again: only the wait is left.",
                ));
            }
            if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                told = Some(tokio::time::Instant::now());
                self.progress(Progress::Draining { step: step.id.clone(), by });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// How a move ended.
enum Moved {
    /// The set is there, drained.
    To(Outcome),
    /// It is not, or not drained.
    Not(Flow),
}

/// Declares the set, and waits for transactions that may have looked for it before it was there.
async fn ready(session: &Session, job: Job<'_>, set: &Name) -> Result<Current, StepError> {
    let declared = run_tx(session, "declare flags", &flags::tx_options(job), async |session: &Session| {
        lease::fence(session, job.epoch).await?.ok_or(StepError::Fenced)?;
        flags::prepare(session, job, set).await
    })
    .await;
    let current = match declared {
        TxOutcome::Committed(current) => current,
        TxOutcome::RolledBack(error) => return Err(error),
        TxOutcome::Unknown(failure) => return Err(failure.into()),
    };
    if current.moved_at.is_some() {
        return Ok(current);
    }
    // Declared again once it is committed: who looks for the set from here on finds it, and the wait counts from here.
    tidegate_flags::declare(session, &flags::declared(job.program, set)?).await?;
    let limit = job.statement_timeout();
    let begun = tokio::time::Instant::now();
    loop {
        let older = tidegate_flags::older_transactions(session, set.as_str()).await?;
        if older.is_empty() {
            return Ok(current);
        }
        if begun.elapsed() >= limit {
            let named: Vec<String> = older.iter().take(TOLD_MAX).map(ToString::to_string).collect();
            return Err(StepError::refused(
                format!("transactions from before {set} was declared are still open: {}", named.join("; ")),
                "They may write without its barrier. End them, or wait, and run again.",
            ));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
