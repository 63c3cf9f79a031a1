//! The sync client as a state machine: no I/O, no clock, no randomness. One step in, effects out.
//!
//! Whoever runs it does the [`Effect`]s in their order: tells whoever watches, keeps the exported state durably, sends
//! the request and gives the reply back. At most one request is out. Between two effects the program may die: from the
//! last state that was kept, a new instance goes on.
//!
//! | module | in one sentence |
//! |---|---|
//! | [`options`](Options), [`local_operation`](LocalOperation) | who the client is, and what an application asks it to write |
//! | [`queue`](QueuedOperation) | what waits for the server, and what it rejected |
//! | [`activity`](STALE_RECOVERIES_MAX) | pull until settled, flush with recovery from stale writes, reconcile |
//! | [`epoch`](FeedEpoch), [`rematerialize`](RematerializationRequired) | a restored server, a forgotten past |
//! | [`export`](ExportedState), [`diff`] | its whole state, taken out, compared, taken up again |
//! | [`reply`] | what came over the wire, read strictly |
//!
//! **Fail closed.** The unit is the *attempt*: one page, one push exchange, one reconcile, one hydrate. Everything is
//! checked before anything changes, so that after a failed attempt the exported state is byte for byte what it was;
//! whole valid pages before it stay. Every broken guardrail is told exactly once, before it is thrown.
//!
//! Two rules are stricter than they need to be for one client alone. An acknowledged cursor never moves the own one: it
//! may be that of another client with the same id, and what lies between would never be read. And the times of waiting
//! operations are lifted over the cursor in what is pushed, but kept so only when the server has answered.

/// Whether a fault is planted. Without the feature `testing` it is `false`, and no fault exists.
#[cfg(feature = "testing")]
macro_rules! planted {
    ($client:expr, $fault:ident) => {
        $client.mutation == Some($crate::client::mutation::Mutation::$fault)
    };
}
#[cfg(not(feature = "testing"))]
macro_rules! planted {
    ($client:expr, $fault:ident) => {
        false
    };
}

mod activity;
pub mod diff;
mod effect;
mod envelope;
mod epoch;
mod error;
mod export;
mod hydrate;
mod local_operation;
#[cfg(feature = "testing")]
mod mutation;
mod options;
mod plain_page;
mod push_results;
mod queue;
mod rematerialize;
pub mod reply;
mod state;
#[cfg(feature = "testing")]
mod tampering;

use serde_json::Value;
use thiserror::Error;

pub use activity::STALE_RECOVERIES_MAX;
use activity::{Activity, Kind};
pub use effect::{Begun, Effect, Failure, Notice, Outcome, Reply, ReplyBody, Request, RequestId};
pub use envelope::{Envelope, EnvelopeError};
pub use epoch::{EpochError, FeedEpoch};
pub use error::ClientError;
pub use export::{ClientSnapshot, ExportedState};
pub use local_operation::{LocalOperation, QueueError};
#[cfg(feature = "testing")]
pub use mutation::Mutation;
pub use options::{Options, OptionsError};
pub use push_results::PushResponseError;
pub use queue::{QUEUE_MAX, QueuedOperation, RejectedOperation};
pub use rematerialize::{REMATERIALIZATIONS_DEFAULT, RematerializationRequired};
use state::State;

use crate::container_clock::{ChangedContainers, ContainerClocks, LimitError};
use crate::cursor::Cursor;
use crate::guardrail::Violation;
use crate::id::WriteId;
use crate::reconcile::ReconcileState;
use crate::replay::Replay;
use crate::timestamp::Timestamp;

/// A client of one user on one device.
#[derive(Debug, Clone)]
pub struct Client {
    options: Options,
    state: State,
    activity: Option<Activity>,
    /// Milliseconds between two flushes in the background; `None`: there are none.
    background: Option<u64>,
    /// Requests sent so far, whose number names the last one.
    sent: u64,
    #[cfg(feature = "testing")]
    mutation: Option<Mutation>,
}

/// An interval of no time at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("intervalMs must be a positive integer")]
pub struct IntervalError;

impl Client {
    /// A client that knows nothing yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            state: State::new(),
            activity: None,
            background: None,
            sent: 0,
            #[cfg(feature = "testing")]
            mutation: None,
        }
    }

    /// The same with a planted fault.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn with_mutation(mut self, mutation: Option<Mutation>) -> Self {
        self.mutation = mutation;
        self
    }

    /// Who it is, and how it asks.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Everything it knows. A copy: what is done to it is not done to the client.
    #[must_use]
    pub fn export_state(&self) -> ExportedState {
        self.state.export()
    }

    /// What an application shows.
    #[must_use]
    pub fn snapshot(&self) -> ClientSnapshot {
        self.state.snapshot()
    }

    /// What has been replayed of the feed.
    #[must_use]
    pub fn replay(&self) -> &Replay {
        &self.state.replay
    }

    /// The last change in each container.
    #[must_use]
    pub fn clocks(&self) -> &ContainerClocks {
        &self.state.clocks
    }

    /// How far it has come, as it tells the server; `None`: it has read nothing yet.
    #[must_use]
    pub fn reconciled(&self) -> Option<&ReconcileState> {
        self.state.reconcile.as_ref()
    }

    /// The number of the next local write.
    #[must_use]
    pub fn next_local_write_id(&self) -> WriteId {
        self.state.next_write_id
    }

    /// The epoch of the server's feed that it has read; `None`: not known.
    #[must_use]
    pub fn feed_epoch(&self) -> Option<u16> {
        self.state.feed_epoch
    }

    /// Up to where it has read; `None`: nothing yet.
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.state.cursor()
    }

    /// What waits for the server, in order.
    #[must_use]
    pub fn pending(&self) -> &[QueuedOperation] {
        &self.state.pending
    }

    /// What the server will not take, in the order of its answers.
    #[must_use]
    pub fn rejected(&self) -> &[RejectedOperation] {
        &self.state.rejected
    }

    /// Whether a sync, a flush or a re-materialization is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.activity.is_some()
    }

    /// The containers that changed strictly after a place, oldest change first.
    ///
    /// # Errors
    /// A limit outside of 1 to 500.
    pub fn list_changed_containers(
        &self,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<ChangedContainers, LimitError> {
        self.state.clocks.list_changed_since(after, limit)
    }

    /// Queues an operation, under the next number. Keep the exported state before telling anybody that it is queued.
    ///
    /// # Errors
    /// What is wrong with it first; then nothing has changed.
    pub fn queue_local_operation(
        &mut self,
        local: &LocalOperation,
        now: Timestamp,
    ) -> Result<&QueuedOperation, QueueError> {
        let write_id = self.state.next_write_id;
        let operation = local_operation::operation(local, &self.options.client_id, write_id, now)?;
        if self.state.op_ids.contains(&operation.op_id) {
            return Err(QueueError::AlreadyQueued(operation.op_id));
        }
        let boundaries = [self.state.cursor(), self.state.replay.cursor()];
        if boundaries.into_iter().flatten().any(|place| place.change_id == operation.op_id.as_str()) {
            return Err(QueueError::Boundary(operation.op_id));
        }
        local.envelope.check()?;
        let kept = self.state.pending.len() + self.state.rejected.len();
        if kept >= QUEUE_MAX {
            return Err(QueueError::Full(kept));
        }
        self.state.next_write_id = write_id.next().ok_or(QueueError::WriteIds(write_id))?;
        self.state.op_ids.insert(operation.op_id.clone());
        let queued = QueuedOperation { operation, envelope: local.envelope.clone() };
        Ok(self.state.pending.push_mut(queued))
    }

    /// Forgets a rejected operation: what it would have done is not done.
    ///
    /// # Errors
    /// [`QueueError::NotRejected`].
    pub fn undo_rejected(&mut self, op_id: &str) -> Result<RejectedOperation, QueueError> {
        let at = self.state.rejected.iter().position(|kept| kept.operation.operation.op_id.as_str() == op_id);
        let undone = self.state.rejected.remove(at.ok_or_else(|| QueueError::NotRejected(op_id.to_owned()))?);
        self.state.op_ids.remove(&undone.operation.operation.op_id);
        Ok(undone)
    }

    /// Puts a rejected operation at the end of the queue, under its id and the next number.
    ///
    /// # Errors
    /// [`QueueError::NotRejected`], or there is no number left.
    pub fn retry_rejected(&mut self, op_id: &str) -> Result<&QueuedOperation, QueueError> {
        let write_id = self.state.next_write_id;
        let next = write_id.next().ok_or(QueueError::WriteIds(write_id))?;
        let mut queued = self.undo_rejected(op_id)?.operation;
        queued.operation.write_id = write_id;
        self.state.op_ids.insert(queued.operation.op_id.clone());
        self.state.next_write_id = next;
        Ok(self.state.pending.push_mut(queued))
    }

    /// Reads until there is no more, then tells the server how far it has come.
    pub fn sync(&mut self) -> Begun {
        self.start(Kind::Sync)
    }

    /// Pushes what waits, then reads until there is no more. A flush that is under way is joined.
    pub fn flush(&mut self) -> Begun {
        self.start(Kind::Flush)
    }

    /// Takes the state anew from the server, because somebody says so. What waits and what was rejected is kept.
    pub fn rematerialize(&mut self) -> Begun {
        self.start(Kind::Rematerialize)
    }

    fn start(&mut self, kind: Kind) -> Begun {
        match &mut self.activity {
            None => Begun::Now(self.begin(Activity::new(kind))),
            Some(running) if running.kind == Kind::Flush && kind == Kind::Flush => {
                running.is_joined = true;
                Begun::Joined
            }
            Some(_) => Begun::Busy,
        }
    }

    /// Takes what became of a request. Of another request than the last, and where nothing is under way, it is not
    /// looked at: it came late, or twice.
    pub fn reply(&mut self, id: RequestId, reply: Reply) -> Vec<Effect> {
        if id.0 != self.sent && !planted!(self, LateReplyTaken) {
            return Vec::new();
        }
        match self.activity.take() {
            Some(activity) => self.answered(activity, reply),
            None => Vec::new(),
        }
    }

    /// Takes up an exported state, where nothing has been queued or read yet. All of it is checked first: after a
    /// failure the client is as new, and a corrected state can be taken up.
    pub fn hydrate(&mut self, state: &Value) -> Vec<Effect> {
        let mut effects = Vec::new();
        let read = match self.is_open_to_hydrate() {
            Ok(()) => hydrate::read(state, &self.options.client_id).map_err(|error| error.to_string()),
            Err(message) => Err(message.to_owned()),
        };
        match read {
            Ok(state) => {
                self.state = state;
                #[cfg(feature = "testing")]
                if planted!(self, NumbersForgotten) {
                    self.state.next_write_id = WriteId::MIN;
                }
                effects.extend([Effect::Persist, Effect::Finished(Ok(Outcome::default()))]);
            }
            Err(message) => {
                #[cfg(feature = "testing")]
                if planted!(self, HydratedBeforeValidation) {
                    self.state.feed_epoch = Some(1);
                    self.state.next_write_id =
                        self.state.next_write_id.next().unwrap_or(self.state.next_write_id);
                }
                let violation = Violation::Hydrate { message };
                self.tell(Notice::Guardrail(violation.clone()), &mut effects);
                effects.push(Effect::Finished(Err(ClientError::Guardrail(violation))));
            }
        }
        effects
    }

    fn is_open_to_hydrate(&self) -> Result<(), &'static str> {
        match self.activity.as_ref().map(|activity| activity.kind) {
            Some(Kind::Flush) => return Err("cannot hydrate state while flush is in progress"),
            Some(Kind::Sync) => return Err("cannot hydrate state while sync is in progress"),
            Some(Kind::Rematerialize) => {
                return Err("cannot hydrate state while re-materialization is in progress");
            }
            None => {}
        }
        if self.background.is_some() {
            return Err("cannot hydrate state while background flush is active");
        }
        if !self.state.pending.is_empty() {
            return Err("cannot hydrate state on a non-empty pending queue");
        }
        if !self.state.is_pristine() {
            return Err("cannot hydrate state on a non-empty client");
        }
        Ok(())
    }

    /// Flushes in the background from now on: whoever runs the client calls [`Client::tick`] each `interval_ms`
    /// milliseconds. Whether it began; a second one does not.
    ///
    /// # Errors
    /// [`IntervalError`].
    pub fn start_background_flush(&mut self, interval_ms: u64) -> Result<bool, IntervalError> {
        if interval_ms == 0 {
            return Err(IntervalError);
        }
        let begins = self.background.is_none();
        self.background.get_or_insert(interval_ms);
        Ok(begins)
    }

    /// Flushes in the background no more. What is under way goes on to its end; whether there is something.
    pub fn stop_background_flush(&mut self) -> bool {
        self.background = None;
        self.activity.as_ref().is_some_and(|activity| activity.kind == Kind::Flush)
    }

    /// Milliseconds between two flushes in the background; `None`: there are none.
    #[must_use]
    pub fn background_interval_ms(&self) -> Option<u64> {
        self.background
    }

    /// The time for a flush in the background has come. Without one, and while something is under way, nothing is done.
    pub fn tick(&mut self) -> Vec<Effect> {
        if self.background.is_none() || self.is_busy() {
            return Vec::new();
        }
        self.flush().effects()
    }
}
