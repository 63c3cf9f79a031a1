//! The switch: requests and writes, each by the row that rules.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_flags::FlagsError;
use tidegate_store::postgres::{Failure, Session, TxError, TxOptions, TxOutcome};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing::Instrument;
use uuid::Uuid;

use crate::clock;
use crate::heart;
use crate::histogram::Recorder;
use crate::metrics::Metrics;
use crate::options::SwitchOptions;
use crate::readiness::NotReady;
use crate::request::Request;
use crate::shadow::Shadow;
use crate::snapshot::Snapshot;
use crate::state::{Heard, Refusal, State};
use crate::writing::Writing;

/// Rows that are counted by name; what is beyond counts as `other`.
const ROWS_COUNTED_MAX: usize = 64;

/// What an application embeds to obey a flag set. Cloning it gives the same switch.
///
/// It gives signs of life in the background. When the last clone is dropped it ends, as by [`Switch::stop`].
#[derive(Debug, Clone)]
pub struct Switch {
    shared: Arc<Shared>,
    heart: Arc<Heart>,
}

/// What the switch, its requests and its heart share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: SwitchOptions,
    pub(crate) instance: Uuid,
    state: Mutex<State>,
    wake: Notify,
    figures: Figures,
    shadow: Shadow,
}

#[derive(Debug, Default)]
pub(crate) struct Figures {
    refused: AtomicU64,
    pub(crate) beat_failures: AtomicU64,
    mirror_errors: AtomicU64,
    outbox_open: AtomicU64,
    writes: Mutex<BTreeMap<String, u64>>,
    pub(crate) barrier_wait: Recorder,
}

impl Figures {
    /// A write that went by this row was committed.
    pub(crate) fn count_write(&self, label: String) {
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        let full = writes.len() >= ROWS_COUNTED_MAX && !writes.contains_key(&label);
        *writes.entry(if full { "other".to_owned() } else { label }).or_default() += 1;
    }
}

/// Ends the heart with the last switch.
#[derive(Debug)]
struct Heart {
    shared: Arc<Shared>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.shared.state().hear(Heard::Stop, clock::now());
        self.shared.wake.notify_one();
    }
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next sign of life is given at once: there is news.
    pub(crate) fn beat_soon(&self) {
        self.wake.notify_one();
    }

    /// Waits until there is news, or the next sign is due.
    pub(crate) async fn until_next_beat(&self) {
        let _due = tokio::time::timeout(self.options.beat, self.wake.notified()).await;
    }

    pub(crate) fn figures(&self) -> &Figures {
        &self.figures
    }

    fn not_ready(&self, refusal: Refusal, state: &State) -> NotReady {
        let set = self.options.set.clone();
        let last = state.last_failure().map(str::to_owned);
        match refusal {
            Refusal::NotYet => NotReady::NotYet { set, last },
            Refusal::LeaseLost { since } => NotReady::LeaseLost { set, since, last },
            Refusal::Stopping => NotReady::Stopping,
        }
    }
}

impl Switch {
    /// Starts giving signs of life, and waits for the first answer or its failure.
    ///
    /// A database that does not answer is no error here: the instance takes no requests until it does, and
    /// [`Switch::ready`] says why.
    pub async fn start(options: SwitchOptions) -> Switch {
        Self::start_comparing(options, 0).await
    }

    /// As [`Switch::start`], with a [`Shadow`] that compares every so many reads.
    pub async fn start_comparing(options: SwitchOptions, every: u64) -> Switch {
        let options = options.within_bounds();
        let state = State::new(options.environment.clone(), options.lease());
        let shared = Arc::new(Shared {
            options,
            instance: Uuid::new_v4(),
            state: Mutex::new(state),
            wake: Notify::new(),
            figures: Figures::default(),
            shadow: Shadow::every(every),
        });
        let session = heart::first(&shared).await;
        let task = tokio::spawn(heart::run(shared.clone(), session));
        Switch { heart: Arc::new(Heart { shared: shared.clone(), task: Mutex::new(Some(task)) }), shared }
    }

    /// Lets a request in. What it goes by stays the same until it ends.
    ///
    /// # Errors
    /// When the set has not been read yet or was not read for so long that others may take this instance for gone, or
    /// when the instance is ending: answer that the service is unavailable.
    pub fn request(&self) -> Result<Request, NotReady> {
        let mut state = self.shared.state();
        match state.admit(clock::now()) {
            Ok((snapshot, lapses)) => {
                drop(state);
                Ok(Request::new(self.shared.clone(), snapshot, lapses))
            }
            Err(refusal) => {
                self.shared.figures.refused.fetch_add(1, Ordering::Relaxed);
                Err(self.shared.not_ready(refusal, &state))
            }
        }
    }

    /// Whether a balancer should send requests here.
    ///
    /// # Errors
    /// As [`Switch::request`], and [`NotReady::Override`], under which requests are served by the row.
    pub fn ready(&self) -> Result<(), NotReady> {
        let state = self.shared.state();
        state.may_serve(clock::now()).map_err(|refusal| self.shared.not_ready(refusal, &state))?;
        match state.contradiction() {
            Some(contradiction) => {
                let (set, contradiction) = (self.shared.options.set.clone(), contradiction.to_owned());
                Err(NotReady::Override { set, contradiction })
            }
            None => Ok(()),
        }
    }

    /// What a request would go by now, without letting one in.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.state().snapshot()
    }

    /// The id under which this instance is known.
    #[must_use]
    pub fn instance(&self) -> Uuid {
        self.shared.instance
    }

    /// Runs `body` in a transaction that no move can straddle: it enters the barrier with `BEGIN`, in one round trip,
    /// and gets what rules inside. That may be newer than what the request began with, and is what a write must go by.
    ///
    /// The body may run more than once, as with [`tidegate_store::postgres::run_tx`], each time with what rules then.
    pub async fn write<T, E: TxError>(
        &self,
        session: &Session,
        name: &str,
        body: impl AsyncFnMut(&Session, &Snapshot) -> Result<T, E>,
    ) -> TxOutcome<T, E> {
        self.write_with(session, name, &self.shared.options.transactions, body).await
    }

    /// As [`Switch::write`], with other options than those of the switch.
    pub async fn write_with<T, E: TxError>(
        &self,
        session: &Session,
        name: &str,
        options: &TxOptions,
        mut body: impl AsyncFnMut(&Session, &Snapshot) -> Result<T, E>,
    ) -> TxOutcome<T, E> {
        let mut writing = self.writing(session, name, options);
        let span = writing.span();
        async {
            loop {
                let ended = match writing.begin().await {
                    Ok(snapshot) => body(session, &snapshot).await,
                    Err(failure) => Err(E::from(failure)),
                };
                if let Some(outcome) = writing.end(ended).await {
                    return outcome;
                }
            }
        }
        .instrument(span)
        .await
    }

    /// As [`Switch::write_with`], in pieces.
    #[must_use]
    pub fn writing<'a>(&'a self, session: &'a Session, name: &'a str, options: &'a TxOptions) -> Writing<'a> {
        Writing::new(&self.shared, session, name, options)
    }

    /// How transactions of [`Switch::write`] are run.
    #[must_use]
    pub fn transactions(&self) -> &TxOptions {
        &self.shared.options.transactions
    }

    /// Counts a write of a mirror that failed.
    pub fn mirror_failed(&self) {
        self.shared.figures.mirror_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells the figures how many writes the other side has not got yet.
    pub fn outbox_is(&self, open: u64) {
        self.shared.figures.outbox_open.store(open, Ordering::Relaxed);
    }

    /// The comparisons of this switch.
    #[must_use]
    pub fn shadow(&self) -> &Shadow {
        &self.shared.shadow
    }

    /// What it does, as figures.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let figures = &self.shared.figures;
        let writes = figures.writes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let state = self.shared.state();
        Metrics {
            set: self.shared.options.set.clone(),
            epoch: state.seen(),
            drained_epoch: state.drained(),
            row: state.snapshot().label().to_owned(),
            in_flight: state.in_flight(),
            overriding: state.contradiction().is_some(),
            serving: state.may_serve(clock::now()).is_ok(),
            lapses: state.lapses(),
            refused: figures.refused.load(Ordering::Relaxed),
            beat_failures: figures.beat_failures.load(Ordering::Relaxed),
            writes,
            mirror_errors: figures.mirror_errors.load(Ordering::Relaxed),
            outbox_open: figures.outbox_open.load(Ordering::Relaxed),
            shadow: self.shared.shadow.counts(),
            barrier_wait: figures.barrier_wait.read(),
        }
    }

    /// Ends in good order: lets no request in, waits for the open ones, and tells the database that this instance is
    /// no more. Returns the number of requests that were still open when the time was up; while there are any, signs of
    /// life go on, so that a mover does not take their epoch for drained.
    ///
    /// # Idempotence
    /// Stopping twice is success.
    pub async fn stop(&self, within: Duration) -> u64 {
        self.shared.state().hear(Heard::Stop, clock::now());
        self.shared.wake.notify_one();
        let task = self.heart.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut task) = task
            && tokio::time::timeout(within, &mut task).await.is_err()
        {
            *self.heart.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        }
        self.shared.state().in_flight()
    }
}

/// A failure of the store as it is, and what cannot be read in its own words.
pub(crate) fn failure(error: FlagsError) -> Failure {
    match error {
        FlagsError::Store(failure) => failure,
        other => Failure::unusable_answer(other.to_string()),
    }
}
