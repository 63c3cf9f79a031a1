//! A transaction that no move can straddle.

use std::sync::Arc;
use std::time::Instant;

use tidegate_flags::LOOK_ANSWERS;
use tidegate_store::postgres::{Answer, Failure, Session, TxAttempts, TxError, TxOptions, TxOutcome};

use crate::snapshot::Snapshot;
use crate::state::Tables;
use crate::switch::{Shared, failure};

/// How often a write looks for tables that went away and came: once with them, once without.
const LOOKS_MAX: usize = 2;

/// The attempts at one write, for a caller who runs the body itself: [`crate::Switch::write`] in pieces.
///
/// A closure that borrows from its surroundings makes a future that the compiler does not let go to another thread.
/// Where that is needed, and copying what it borrows is not wanted, write the loop out:
///
/// ```
/// # use tidegate_store::postgres::{Failure, Session, TxOutcome};
/// # use tidegate_switch::{Snapshot, Switch};
/// # async fn write(_: &Session, _: &Snapshot, _: &str) -> Result<(), Failure> { Ok(()) }
/// async fn rename(switch: &Switch, session: &Session, name: &str) -> TxOutcome<(), Failure> {
///     let mut writing = switch.writing(session, "rename", switch.transactions());
///     loop {
///         let ended = match writing.begin().await {
///             Ok(snapshot) => write(session, &snapshot, name).await,
///             Err(failure) => Err(failure),
///         };
///         if let Some(outcome) = writing.end(ended).await {
///             return outcome;
///         }
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Writing<'a> {
    shared: &'a Shared,
    session: &'a Session,
    name: &'a str,
    options: &'a TxOptions,
    attempts: TxAttempts<'a>,
    /// Whether the flag functions were there when this began.
    there: bool,
    looks: usize,
    waiting: Option<Instant>,
    /// What the last attempt went by; `None`: none has come inside the barrier.
    label: Option<String>,
}

impl<'a> Writing<'a> {
    pub(crate) fn new(
        shared: &'a Shared,
        session: &'a Session,
        name: &'a str,
        options: &'a TxOptions,
    ) -> Writing<'a> {
        let there = shared.state().tables() != Tables::Absent;
        let set = &shared.options.set;
        let opening = if there { tidegate_flags::enter_sql(set) } else { tidegate_flags::look_sql(set) };
        Writing {
            shared,
            session,
            name,
            options,
            attempts: TxAttempts::new(session, name, options, &opening),
            there,
            looks: 1,
            waiting: Some(Instant::now()),
            label: None,
        }
    }

    /// The span that all of it belongs in.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        self.attempts.span()
    }

    /// Begins an attempt: `BEGIN`, its settings and the barrier in one round trip. Returns what rules inside, which is
    /// what the write must go by.
    ///
    /// # Errors
    /// The server's: hand it to [`Writing::end`] in the body's place.
    pub async fn begin(&mut self) -> Result<Arc<Snapshot>, Failure> {
        let answers = self.attempts.begin().await?;
        let snapshot = self.inside(&answers).await?;
        if let Some(since) = self.waiting.take() {
            self.shared.figures().barrier_wait.record(since.elapsed());
        }
        self.label = Some(snapshot.label().to_owned());
        Ok(snapshot)
    }

    /// Ends the attempt as its body ended. `None`: it is to be begun again.
    pub async fn end<T, E: TxError>(&mut self, ended: Result<T, E>) -> Option<TxOutcome<T, E>> {
        let outcome = self.attempts.end(ended).await?;
        match &outcome {
            TxOutcome::Committed(_) => {
                self.shared.figures().count_write(self.label.take().unwrap_or_default());
            }
            TxOutcome::RolledBack(error) if self.may_look_again(error.failure()) => {
                let looks = self.looks + 1;
                *self = Writing { looks, ..Writing::new(self.shared, self.session, self.name, self.options) };
                return None;
            }
            _ => {}
        }
        Some(outcome)
    }

    /// The functions that were there a moment ago are gone before anybody came inside, and may be gone.
    fn may_look_again(&self, failure: Option<&Failure>) -> bool {
        self.there
            && self.label.is_none()
            && self.looks < LOOKS_MAX
            && failure.is_some_and(tidegate_flags::is_missing)
            && self.shared.state().lost_tables()
    }

    /// What rules inside the barrier.
    async fn inside(&self, answers: &[Answer]) -> Result<Arc<Snapshot>, Failure> {
        let expected = if self.there { 1 } else { LOOK_ANSWERS };
        let answer = match answers.last() {
            Some(answer) if answers.len() == expected => answer,
            _ => {
                let what = format!("the barrier was answered {} times instead of {expected}", answers.len());
                return Err(Failure::unusable_answer(what));
            }
        };
        let set = &self.shared.options.set;
        let row = if self.there {
            tidegate_flags::entered(answer).map_err(failure)?
        } else if tidegate_flags::looked(answer) {
            self.shared.state().found_tables();
            tidegate_flags::enter(self.session, set).await.map_err(failure)?
        } else {
            None
        };
        let (known, tables) = {
            let state = self.shared.state();
            (state.snapshot(), state.tables())
        };
        match row {
            Some(row) if row.epoch == known.epoch() => Ok(known),
            Some(row) => {
                self.shared.beat_soon();
                Ok(Arc::new(Snapshot::of_row(row)))
            }
            None if tables == Tables::Ruling => Err(Failure::unusable_answer(format!(
                "flag set '{set}' ruled and is no longer in the database; put it back, or start again to go by the \
                 environment"
            ))),
            None => Ok(known),
        }
    }
}
