//! The journal read back: runs and where each stands. Needs no lease.

use tidegate_store::postgres::Session;
use uuid::Uuid;

use crate::digest::Digest;
use crate::event::EventRecord;
use crate::journal::{self, Head, JournalError};
use crate::state::RunState;
use crate::transition;

/// Everything the journal holds, verified.
#[derive(Clone, Debug)]
pub struct History {
    /// All events, of every run, in order.
    pub records: Vec<EventRecord>,
    /// The newest event.
    pub head: Head,
    /// The hash of each event.
    pub hashes: Vec<Digest>,
}

impl History {
    /// Reads and verifies the journal. An absent journal is an empty history.
    ///
    /// # Errors
    /// [`JournalError`] when it cannot be read or does not hold together.
    pub async fn read(session: &Session) -> Result<Self, JournalError> {
        match journal::format(session).await? {
            None => Ok(Self::empty()),
            Some(found) if found > journal::FORMAT => {
                Err(JournalError::Newer { found, known: journal::FORMAT })
            }
            Some(_) => {
                let mut history = Self::empty();
                history.extend(session).await?;
                Ok(history)
            }
        }
    }

    /// Reads on behind the newest event that was read, and verifies what follows it. Where it does not follow, as after a
    /// restore, the journal is read whole. What was read before is not looked at again.
    ///
    /// # Errors
    /// As [`History::read`].
    pub async fn read_on(&mut self, session: &Session) -> Result<(), JournalError> {
        if self.records.is_empty() || !matches!(self.extend(session).await, Ok(())) {
            *self = Self::read(session).await?;
        }
        Ok(())
    }

    async fn extend(&mut self, session: &Session) -> Result<(), JournalError> {
        // A writer may commit between the two reads: the head first, so that it never names too much.
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let head = journal::head(session).await;
        let stored = journal::stored(session, self.head.seq).await;
        session.run("ROLLBACK").await?;
        let (head, stored) = (head?, stored?);
        let records = journal::verify(self.head, &stored, head)?;
        self.records.extend(records);
        self.hashes.extend(stored.iter().map(|event| event.hash));
        self.head = head;
        Ok(())
    }

    /// That of a store without a journal.
    #[must_use]
    pub fn empty() -> Self {
        Self { records: Vec::new(), head: Head::NONE, hashes: Vec::new() }
    }

    /// The hash of the event with this number.
    #[must_use]
    pub fn hash_of(&self, seq: u64) -> Option<Digest> {
        let index = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.hashes.get(index).copied()
    }

    /// Runs in the order in which they started.
    #[must_use]
    pub fn runs(&self) -> Vec<Uuid> {
        let mut runs = Vec::new();
        for record in &self.records {
            if !runs.contains(&record.run) {
                runs.push(record.run);
            }
        }
        runs
    }

    /// Events of one run.
    pub fn of(&self, run: Uuid) -> impl Iterator<Item = &EventRecord> {
        self.records.iter().filter(move |record| record.run == run)
    }

    /// Where a run stands.
    ///
    /// # Errors
    /// [`JournalError::Illegal`] if its events do not follow each other.
    pub fn state(&self, run: Uuid) -> Result<Option<RunState>, JournalError> {
        Ok(transition::fold(self.of(run))?)
    }

    /// Where the newest run stands.
    ///
    /// # Errors
    /// [`JournalError::Illegal`] if its events do not follow each other.
    pub fn newest(&self) -> Result<Option<RunState>, JournalError> {
        match self.runs().last() {
            Some(run) => self.state(*run),
            None => Ok(None),
        }
    }
}
