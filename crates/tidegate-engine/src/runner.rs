//! One runner: it holds the lease, knows where the run stands, and is the only writer of the journal.

mod adopting;
mod back;
mod back_step;
mod checking;
mod cohort;
mod copying;
mod deciding;
mod forward;
mod halting;
mod heartbeat;
mod holding;
mod keys;
mod moving;
mod opening;
mod patience;
mod performing;
mod requests;
mod requiring;
mod undoing;
mod watching;

use std::cell::RefCell;
use std::rc::Rc;

use tidegate_store::postgres::{Session, TxOutcome, run_tx};
use tokio_postgres::types::Type;

use crate::crash::{self, Site};
use crate::digest::Digest;
use crate::doors::Doors;
use crate::error::StepError;
use crate::event::{Event, Person};
use crate::holder::Holder;
use crate::job::Job;
use crate::journal::{self, Head, JournalError, Prepared};
use crate::lease::{self, LeaseError};
use crate::observer::{Observer, Progress};
use crate::program::Program;
use crate::signals::{Signals, StopHandle};
use crate::state::RunState;
use crate::transition;
use crate::values::Values;
use crate::versions::VersionTable;

pub use back::BackPlan;
pub use checking::{VersionDrift, drift_in};
pub use opening::{Opened, Purpose, changed_steps};
pub use requests::refuses as refuses_approval;

use heartbeat::{Heartbeat, Inbox};
use watching::OpenWatch;

/// A lost connection is made again for so many leases before the run is given up as in doubt.
const RECONNECT_LEASES: u32 = 2;

/// The wait before the n-th attempt grows by this much, up to [`RECONNECT_WAIT_MAX`].
const RECONNECT_STEP: std::time::Duration = std::time::Duration::from_millis(100);

/// The longest wait between two attempts.
const RECONNECT_WAIT_MAX: std::time::Duration = std::time::Duration::from_secs(2);

/// One runner of one run.
pub struct Runner {
    program: Rc<Program>,
    doors: Rc<Doors>,
    values: Values,
    versions: VersionTable,
    me: Holder,
    by: Person,
    home: Session,
    home_pid: i32,
    epoch: u64,
    head: Head,
    state: RunState,
    observer: Rc<RefCell<dyn Observer>>,
    signals: Signals,
    inbox: Inbox,
    heartbeat: Option<Heartbeat>,
    watches: Vec<OpenWatch>,
    memory: Option<std::path::PathBuf>,
    /// Findings that a person has accepted.
    accepted_drift: std::collections::BTreeSet<String>,
    /// Steps whose start this very runner has journaled.
    intents: std::collections::BTreeSet<tidegate_runbook::Name>,
    /// What the last gate left known of the catalog.
    known: Rc<RefCell<Option<crate::catalog::Known>>>,
}

/// Why the runner itself cannot go on. The run stays where its journal says.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Another holds the lease.
    LeaseLost(String),
    /// The store could not be asked.
    InDoubt(String),
    /// What stands differs from what was started or is declared.
    Drift { message: String, next: String },
}

impl From<JournalError> for Stop {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Fenced => Self::LeaseLost(error.to_string()),
            JournalError::Store(failure) => Self::InDoubt(failure.to_string()),
            JournalError::Broken { .. } | JournalError::Illegal(_) | JournalError::Unreadable { .. } => {
                Self::Drift { message: error.to_string(), next: "Run `tidegate audit verify`.".to_owned() }
            }
            JournalError::Newer { .. } => {
                Self::Drift { message: error.to_string(), next: "Use a newer tidegate.".to_owned() }
            }
        }
    }
}

/// Rows to be kept beside events.
pub(crate) type Evidence = (Digest, String);

/// What is written in the transaction of events.
#[derive(Clone, Copy, Default)]
pub(crate) struct Beside<'a> {
    /// Rows to be kept.
    pub(crate) evidence: &'a [Evidence],
    /// The texts of a page with their digest.
    pub(crate) plan: Option<(Digest, &'a str)>,
    /// The request that the first of the events answers.
    pub(crate) request: Option<i64>,
}

impl Runner {
    /// Where the run stands.
    #[must_use]
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// The journal's newest event.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// Stops this runner when the process is told to end.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle(self.signals.clone())
    }

    fn job<'a>(&'a self, step: &'a tidegate_runbook::Step) -> Job<'a> {
        let attempt = self.state.steps.get(&step.id).map_or(1, |state| match state {
            crate::state::StepState::Started { attempt, .. } => *attempt,
            other => other.attempt() + 1,
        });
        Job {
            program: &self.program,
            doors: &self.doors,
            values: &self.values,
            state: &self.state,
            versions: &self.versions,
            epoch: self.epoch,
            step,
            attempt,
        }
    }

    fn progress(&self, progress: Progress) {
        self.observer.borrow_mut().progress(progress);
    }

    /// Journals events in a transaction of their own.
    pub(crate) async fn commit(&mut self, events: Vec<Event>) -> Result<(), Stop> {
        self.commit_with(events, &[]).await
    }

    /// Journals events, with rows to be kept beside them.
    pub(crate) async fn commit_with(
        &mut self,
        events: Vec<Event>,
        evidence: &[Evidence],
    ) -> Result<(), Stop> {
        self.commit_keeping(events, Beside { evidence, ..Beside::default() }).await
    }

    /// Journals events that answer a request, which is marked as taken in the same transaction.
    pub(crate) async fn commit_answering(&mut self, events: Vec<Event>, request: i64) -> Result<(), Stop> {
        self.commit_keeping(events, Beside { request: Some(request), ..Beside::default() }).await
    }

    /// Journals events, with what is to be written beside them.
    pub(crate) async fn commit_keeping(
        &mut self,
        events: Vec<Event>,
        beside: Beside<'_>,
    ) -> Result<(), Stop> {
        let mut tries = 0;
        loop {
            let before = self.head;
            let events = self.redactor().events(events.clone());
            let prepared = self.head.prepare(self.state.run, self.epoch, events)?;
            prepared.must_follow(&self.state)?;
            let options = self.plain_tx_options();
            let epoch = self.epoch;
            let written = run_tx(&self.home, "journal", &options, async |session: &Session| {
                lease::fence(session, epoch).await?.ok_or(StepError::Fenced)?;
                keep(session, beside.evidence).await?;
                if let Some((digest, text)) = beside.plan {
                    crate::plan_store::store(session, digest, text).await?;
                }
                if let Some(request) = beside.request {
                    crate::request::mark_taken(session, request, before.seq + 1).await?;
                }
                prepared.write(session).await?;
                Ok::<_, StepError>(())
            })
            .await;
            match written {
                TxOutcome::Committed(()) => return self.accept(prepared),
                TxOutcome::RolledBack(StepError::Fenced) => {
                    return Err(Stop::LeaseLost(StepError::Fenced.to_string()));
                }
                TxOutcome::RolledBack(StepError::Journal(error)) if self.connected() => {
                    return Err(error.into());
                }
                TxOutcome::RolledBack(error) if self.connected() => {
                    return Err(Stop::InDoubt(format!("the journal could not be written: {error}")));
                }
                TxOutcome::RolledBack(_) | TxOutcome::Unknown(_) => {
                    tries += 1;
                    self.recover("the connection was lost while the journal was written").await?;
                    if self.head != before {
                        return Ok(());
                    }
                    if tries >= 3 {
                        return Err(Stop::InDoubt("the journal could not be written".to_owned()));
                    }
                }
            }
        }
    }

    fn plain_tx_options(&self) -> tidegate_store::postgres::TxOptions {
        tidegate_store::postgres::TxOptions {
            application_prefix: lease::application_prefix(self.epoch),
            jitter_seed: self.epoch,
            ..tidegate_store::postgres::TxOptions::default()
        }
    }

    fn connected(&self) -> bool {
        !self.home.is_closed()
    }

    /// Takes over events that are committed.
    pub(crate) fn accept(&mut self, prepared: Prepared) -> Result<(), Stop> {
        let mut state = self.state.clone();
        for record in &prepared.records {
            state = transition::next(Some(state), record).map_err(JournalError::from)?;
        }
        self.state = state;
        for record in &prepared.records {
            self.keep_values(record);
            self.observer.borrow_mut().event(record);
        }
        self.head = prepared.after;
        self.remember();
        Ok(())
    }

    /// After a lost connection: connects anew, takes the lease anew, which waits for whatever was under way, and
    /// reads what was committed. Nothing is guessed.
    pub(crate) async fn recover(&mut self, why: &str) -> Result<(), Stop> {
        self.heartbeat = None;
        self.watches.clear();
        self.known.take();
        self.progress(Progress::Reconnecting { why: why.to_owned() });
        let lasts = self.program.runbook.limits.lease;
        let mut last = why.to_owned();
        let begun = std::time::Instant::now();
        let mut attempt = 0_u32;
        while attempt == 0 || begun.elapsed() < lasts * RECONNECT_LEASES {
            tokio::time::sleep((RECONNECT_STEP * attempt).min(RECONNECT_WAIT_MAX)).await;
            attempt += 1;
            let session = match self.doors.connect_home("tidegate/recover").await {
                Ok(session) => session,
                Err(error) => {
                    last = error
                        .failure()
                        .map_or_else(|| error.to_string(), |failure| format!("{error}: {failure}"));
                    continue;
                }
            };
            // An older copy of the store is told apart before anything in it is changed.
            match journal::head(&session).await {
                Ok(head) if head.seq < self.head.seq => return Err(older_journal(self.head, head)),
                Ok(_) => {}
                Err(error) => {
                    last = error.to_string();
                    continue;
                }
            }
            match lease::retake(&session, &self.me, self.epoch, lasts).await {
                Ok(taken) => {
                    self.epoch = taken.epoch;
                    self.reopen(session).await?;
                    return Ok(());
                }
                Err(LeaseError::Held(holder)) => return Err(Stop::LeaseLost(holder.to_string())),
                Err(LeaseError::Raced) => {
                    return Err(Stop::LeaseLost("another runner took the lease".to_owned()));
                }
                Err(LeaseError::Store(failure)) => last = failure.to_string(),
            }
        }
        Err(Stop::InDoubt(format!("{why}, and the store could not be asked again: {last}")))
    }

    async fn reopen(&mut self, session: Session) -> Result<(), Stop> {
        let head = journal::head(&session).await?;
        if head.seq < self.head.seq || (head.seq == self.head.seq && head.hash != self.head.hash) {
            return Err(older_journal(self.head, head));
        }
        let mut at = self.head;
        for event in journal::stored(&session, self.head.seq).await? {
            if Digest::chain(at.hash, event.seq, &event.body) != event.hash || event.seq != at.seq + 1 {
                let what = format!("event {} does not follow", event.seq);
                return Err(JournalError::Broken { what }.into());
            }
            at = Head { seq: event.seq, hash: event.hash };
            let record = serde_json::from_str(&event.body)
                .map_err(|error| JournalError::Unreadable { seq: event.seq, why: error.to_string() })?;
            self.state = transition::next(Some(self.state.clone()), &record).map_err(JournalError::from)?;
            self.keep_values(&record);
            self.observer.borrow_mut().event(&record);
        }
        self.head = at;
        self.home_pid = session.backend_pid().await.map_err(JournalError::from)?;
        self.home = session;
        self.start_heartbeat();
        Ok(())
    }

    fn start_heartbeat(&mut self) {
        self.heartbeat = Some(heartbeat::start(
            self.doors.clone(),
            self.epoch,
            self.program.runbook.limits.lease,
            self.signals.clone(),
            self.inbox.clone(),
        ));
    }

    /// Gives the lease back and ends every connection. The run stays where its journal says.
    pub async fn close(mut self) {
        self.heartbeat = None;
        self.watches.clear();
        if let Err(failure) = lease::release(&self.home, self.epoch).await {
            tracing::debug!(%failure, "the lease could not be given back; it expires by itself");
        }
        crash::point(Site::Finished, "released");
        self.home.close().await;
    }
}

/// The journal that the server has is not the one that was written.
fn older_journal(known: Head, found: Head) -> Stop {
    Stop::Drift {
        message: format!(
            "the server's journal ends at event {} and event {} was written before: this is an older copy of the \
             store, such as a standby that was promoted without the newest changes, or a restored one",
            found.seq, known.seq
        ),
        next: "Bring back the store that has all events. If they are lost, compare what they did (`tidegate report` \
               of an earlier copy), then `tidegate abandon` and start a new run."
            .to_owned(),
    }
}

/// Stores evidence rows; the same rows are stored once.
pub(crate) async fn keep(session: &Session, evidence: &[Evidence]) -> Result<(), StepError> {
    for (digest, body) in evidence {
        session
            .execute(
                "INSERT INTO tidegate.evidence (digest, body) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                &[(&digest.0.as_slice(), Type::BYTEA), (body, Type::TEXT)],
            )
            .await?;
    }
    Ok(())
}
