//! Whether the journal is what was written: numbers, hashes, head, and the order of events.

use serde::Serialize;
use tidegate_store::postgres::Session;

use crate::digest::Digest;
use crate::journal::{self, Head, JournalError};
use crate::transition;

/// What an audit proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditVerdict {
    /// Events from 1 on, all read.
    pub events: u64,
    /// Runs they belong to, whose events follow each other.
    pub runs: usize,
    /// The hash of the newest event: what a later audit may be given.
    pub head: Digest,
    /// How much that proves.
    pub proof: Proof,
    /// Pages and evidence, kept beside the events, that are not what their digest says.
    pub texts_changed: Vec<Digest>,
}

/// How much an audit proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "proof", rename_all = "snake_case")]
pub enum Proof {
    /// The journal agrees with itself. Who may write to it could have written all of it anew.
    Consistent {},
    /// The head that was kept elsewhere is that of event `event`: nothing up to it was changed.
    Unchanged {
        /// Its number.
        event: u64,
        /// Events that were added since.
        later: u64,
    },
    /// The head that was kept elsewhere is none of this journal's: it was written anew, cut, or is another one.
    HeadMissing {
        /// What was given.
        given: String,
    },
}

impl AuditVerdict {
    /// Whether nothing speaks against the journal.
    #[must_use]
    pub fn holds(&self) -> bool {
        !matches!(self.proof, Proof::HeadMissing { .. }) && self.texts_changed.is_empty()
    }
}

impl std::fmt::Display for AuditVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { events, runs, head, proof, texts_changed } = self;
        match proof {
            Proof::Consistent {} => write!(
                f,
                "the journal agrees with itself: {events} events of {runs} runs, each hashed over the one before, up \
                 to {head}. This proves consistency only: give a head that was kept elsewhere (--head) to prove that \
                 nothing before it was changed"
            ),
            Proof::Unchanged { event, later } => write!(
                f,
                "nothing was changed: the given head is that of event {event} of {events}, and all events before it \
                 are hashed into it; {later} were added since. The head is now {head}"
            ),
            Proof::HeadMissing { given } => write!(
                f,
                "the given head {given} is that of no event: the journal agrees with itself ({events} events up to \
                 {head}) and is not the one that the head was printed by. It was written anew or cut, or belongs to \
                 another store"
            ),
        }?;
        if texts_changed.is_empty() {
            return Ok(());
        }
        let changed: Vec<String> = texts_changed.iter().map(ToString::to_string).collect();
        write!(f, ". Pages or evidence kept beside the events were changed: {}", changed.join(", "))
    }
}

/// Reads the whole journal and checks it; with `head`, also against what was printed earlier.
///
/// # Errors
/// [`JournalError::Broken`], [`JournalError::Unreadable`] or [`JournalError::Illegal`] at the first event that does not
/// fit; [`JournalError::Newer`] if a newer program wrote it.
pub async fn verify(session: &Session, head: Option<&str>) -> Result<AuditVerdict, JournalError> {
    let (stored, found, texts_changed) = match journal::format(session).await? {
        None => (Vec::new(), Head::NONE, Vec::new()),
        Some(format) if format > journal::FORMAT => {
            return Err(JournalError::Newer { found: format, known: journal::FORMAT });
        }
        Some(_) => {
            session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            let found = journal::head(session).await;
            let stored = journal::stored(session, 0).await;
            let changed = texts_changed(session).await;
            session.run("ROLLBACK").await?;
            (stored?, found?, changed?)
        }
    };
    let records = journal::verify(Head::NONE, &stored, found)?;
    let mut runs: Vec<uuid::Uuid> = records.iter().map(|record| record.run).collect();
    runs.sort_unstable();
    runs.dedup();
    for run in &runs {
        transition::fold(records.iter().filter(|record| record.run == *run))?;
    }
    let proof = match head {
        None => Proof::Consistent {},
        Some(given) => {
            let wanted = Digest::from_hex(given.trim());
            match stored.iter().find(|event| Some(event.hash) == wanted) {
                Some(event) => Proof::Unchanged { event: event.seq, later: found.seq - event.seq },
                None => Proof::HeadMissing { given: given.to_owned() },
            }
        }
    };
    Ok(AuditVerdict { events: found.seq, runs: runs.len(), head: found.hash, proof, texts_changed })
}

/// Kept texts whose digest, computed by the server, is not the one that they are kept under.
async fn texts_changed(session: &Session) -> Result<Vec<Digest>, JournalError> {
    let rows = session.query(include_str!("audit/texts_changed.sql"), &[]).await?;
    Ok(rows.iter().filter_map(|row| Digest::from_bytes(row.get(0))).collect())
}
