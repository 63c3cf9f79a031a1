//! The journal: append-only events in the home store, each hashed over the one before.

use serde_json::Value as Json;
use tidegate_store::postgres::{Failure, Session};
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::digest::Digest;
use crate::event::{Event, EventRecord};
use crate::state::RunState;
use crate::transition::{self, IllegalEvent};

/// The journal format this program writes.
pub const FORMAT: i32 = 3;

/// What brings a journal of each earlier format to the next one.
const STEPS: [(i32, &str); 2] =
    [(1, include_str!("journal/format_2.sql")), (2, include_str!("journal/format_3.sql"))];

/// Most events read into memory at once; a run of a long runbook has a few thousand.
pub const EVENTS_MAX: usize = 1_000_000;

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The server refused or did not answer.
    #[error("the journal could not be asked")]
    Store(#[from] Failure),
    /// A newer program wrote it.
    #[error(
        "the journal in schema tidegate has format {found}; this program knows {known}: use a newer tidegate, nothing was changed"
    )]
    Newer {
        /// What stands there.
        found: i32,
        /// What this program knows.
        known: i32,
    },
    /// A row is not an event that this program knows.
    #[error("event {seq} of the journal cannot be read: {why}; run `tidegate audit verify`")]
    Unreadable {
        /// Its number.
        seq: u64,
        /// Why.
        why: String,
    },
    /// The chain of hashes does not hold.
    #[error(
        "the journal was changed by hand: {what}; nothing is run on top of it. Run `tidegate audit verify`"
    )]
    Broken {
        /// Where and how.
        what: String,
    },
    /// An event that cannot follow.
    #[error(transparent)]
    Illegal(#[from] IllegalEvent),
    /// The head moved: another runner holds the lease.
    #[error("another runner wrote to the journal: the lease was lost")]
    Fenced,
}

/// The newest event's number and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// 0: none yet.
    pub seq: u64,
    /// Zero bytes: none yet.
    pub hash: Digest,
}

/// Events ready to be written on top of a head.
#[derive(Clone, Debug)]
pub struct Prepared {
    before: Head,
    /// The head once they are committed.
    pub after: Head,
    /// As they will be.
    pub records: Vec<EventRecord>,
    bodies: Vec<(String, Digest)>,
}

impl Head {
    /// Of a journal without events.
    pub const NONE: Head = Head { seq: 0, hash: Digest::ZERO };

    /// Events of `run` on top of this head.
    ///
    /// # Errors
    /// [`JournalError::Unreadable`] if an event cannot be written as JSON.
    pub fn prepare(self, run: Uuid, epoch: u64, events: Vec<Event>) -> Result<Prepared, JournalError> {
        let mut after = self;
        let mut records = Vec::with_capacity(events.len());
        let mut bodies = Vec::with_capacity(events.len());
        for event in events {
            let seq = after.seq + 1;
            let record = EventRecord { seq, run, epoch, at: jiff::Timestamp::now(), event };
            let body = serde_json::to_string(&record)
                .map_err(|error| JournalError::Unreadable { seq, why: error.to_string() })?;
            after = Head { seq, hash: Digest::chain(after.hash, seq, &body) };
            bodies.push((body, after.hash));
            records.push(record);
        }
        Ok(Prepared { before: self, after, records, bodies })
    }
}

impl Prepared {
    /// Refuses events that could not be folded again: what is committed must be readable for ever.
    ///
    /// # Errors
    /// [`JournalError::Illegal`] naming the first event that cannot follow `state`.
    pub fn must_follow(&self, state: &RunState) -> Result<(), JournalError> {
        let mut state = state.clone();
        for record in &self.records {
            state = transition::next(Some(state), record)?;
        }
        Ok(())
    }

    /// Writes the events in the session's transaction, the head last.
    ///
    /// # Errors
    /// [`JournalError::Fenced`] if the head is not where this runner left it.
    pub async fn write(&self, session: &Session) -> Result<(), JournalError> {
        let mut seqs = Vec::with_capacity(self.records.len());
        let mut runs = Vec::with_capacity(self.records.len());
        for record in &self.records {
            seqs.push(signed(record.seq));
            runs.push(record.run);
        }
        let bodies: Vec<&str> = self.bodies.iter().map(|(body, _)| body.as_str()).collect();
        let hashes: Vec<&[u8]> = self.bodies.iter().map(|(_, hash)| hash.0.as_slice()).collect();
        let (after_seq, before_seq) = (signed(self.after.seq), signed(self.before.seq));
        let (after_hash, before_hash) = (self.after.hash.0.as_slice(), self.before.hash.0.as_slice());
        let parameters: [(&(dyn ToSql + Sync), Type); 8] = [
            (&seqs, Type::INT8_ARRAY),
            (&runs, Type::UUID_ARRAY),
            (&bodies, Type::TEXT_ARRAY),
            (&hashes, Type::BYTEA_ARRAY),
            (&after_seq, Type::INT8),
            (&after_hash, Type::BYTEA),
            (&before_seq, Type::INT8),
            (&before_hash, Type::BYTEA),
        ];
        let moved = session.execute_prepared(include_str!("journal/append.sql"), &parameters).await?;
        if moved == 1 { Ok(()) } else { Err(JournalError::Fenced) }
    }
}

/// Makes the schema if it is not there, and brings one of an earlier format to this one.
///
/// # Errors
/// [`JournalError::Newer`] if a newer program made it; [`JournalError::Store`] if it may not be made.
pub async fn install(session: &Session) -> Result<(), JournalError> {
    if format(session).await?.is_none() {
        session.run(&format!("BEGIN; {} COMMIT", include_str!("journal/schema.sql"))).await?;
    }
    for (from, statements) in STEPS {
        bring(session, from, statements).await?;
    }
    match format(session).await? {
        Some(found) if found > FORMAT => Err(JournalError::Newer { found, known: FORMAT }),
        _ => Ok(()),
    }
}

/// Brings a journal of one format to the next; one of another format stays as it is.
async fn bring(session: &Session, from: i32, statements: &str) -> Result<(), JournalError> {
    if format(session).await? != Some(from) {
        return Ok(());
    }
    // Two that find it at once: the second one waits for the row, finds that the tables are there, and changes nothing.
    let brought = format!("BEGIN; SELECT version FROM tidegate.format FOR UPDATE; {statements} COMMIT");
    if let Err(failure) = session.run(&brought).await {
        session.run("ROLLBACK").await?;
        if format(session).await?.is_none_or(|found| found <= from) {
            return Err(failure.into());
        }
    }
    Ok(())
}

/// The format that stands in the store; `None` if there is no journal.
///
/// # Errors
/// [`JournalError::Store`] if the server refused or did not answer.
pub async fn format(session: &Session) -> Result<Option<i32>, JournalError> {
    let there = session.query("SELECT to_regclass('tidegate.format') IS NOT NULL", &[]).await?;
    if !there.first().is_some_and(|row| row.get::<_, bool>(0)) {
        return Ok(None);
    }
    let rows = session.query("SELECT version FROM tidegate.format", &[]).await?;
    Ok(rows.first().map(|row| row.get(0)))
}

/// The head as it stands.
///
/// # Errors
/// [`JournalError::Broken`] if there is no head row.
pub async fn head(session: &Session) -> Result<Head, JournalError> {
    let rows = session.query("SELECT seq, hash FROM tidegate.head", &[]).await?;
    let row = rows.first().ok_or_else(|| JournalError::Broken { what: "the head row is missing".into() })?;
    let hash = Digest::from_bytes(row.get(1))
        .ok_or_else(|| JournalError::Broken { what: "the head's hash has not 32 bytes".into() })?;
    Ok(Head { seq: unsigned(row.get(0)), hash })
}

/// A row as stored.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Its number.
    pub seq: u64,
    /// JSON text.
    pub body: String,
    /// The stored hash.
    pub hash: Digest,
}

/// All rows from `after` on, of every run.
///
/// # Errors
/// [`JournalError::Store`] if the server refused or did not answer.
pub async fn stored(session: &Session, after: u64) -> Result<Vec<StoredEvent>, JournalError> {
    let after = signed(after);
    let rows = session
        .query(
            "SELECT seq, body, hash FROM tidegate.event WHERE seq > $1 ORDER BY seq LIMIT 1000001",
            &[(&after, Type::INT8)],
        )
        .await?;
    if rows.len() > EVENTS_MAX {
        return Err(JournalError::Broken { what: format!("it has more than {EVENTS_MAX} events") });
    }
    rows.iter()
        .map(|row| {
            let seq = unsigned(row.get(0));
            let hash = Digest::from_bytes(row.get(2))
                .ok_or_else(|| JournalError::Broken { what: format!("the hash of event {seq} is cut") })?;
            Ok(StoredEvent { seq, body: row.get(1), hash })
        })
        .collect()
}

/// Checks numbers, hashes and head of the events behind the event `before`; gives them.
///
/// # Errors
/// [`JournalError::Broken`] naming the first place where the chain does not hold.
pub fn verify(before: Head, stored: &[StoredEvent], head: Head) -> Result<Vec<EventRecord>, JournalError> {
    let broken = |what: String| JournalError::Broken { what };
    let mut before = before;
    let mut records = Vec::with_capacity(stored.len());
    for event in stored {
        let expected = before.seq + 1;
        if event.seq != expected {
            return Err(broken(format!("event {expected} is missing")));
        }
        if Digest::chain(before.hash, event.seq, &event.body) != event.hash {
            return Err(broken(format!("the hash of event {} does not fit its text", event.seq)));
        }
        records.push(read(event)?);
        before = Head { seq: event.seq, hash: event.hash };
    }
    if before.seq < head.seq {
        return Err(broken(format!("events {} to {} were cut off", before.seq + 1, head.seq)));
    }
    if before != head {
        return Err(broken(format!("the head does not name event {}", before.seq)));
    }
    Ok(records)
}

fn read(event: &StoredEvent) -> Result<EventRecord, JournalError> {
    let unreadable = |why: String| JournalError::Unreadable { seq: event.seq, why };
    let record: EventRecord = serde_json::from_str(&event.body).map_err(|error| {
        let kind = serde_json::from_str::<Json>(&event.body)
            .ok()
            .and_then(|json| json.pointer("/event/kind").and_then(Json::as_str).map(str::to_owned));
        unreadable(kind.map_or_else(|| error.to_string(), |kind| format!("{kind}: {error}")))
    })?;
    if record.seq != event.seq {
        return Err(unreadable(format!("its text says it is event {}", record.seq)));
    }
    Ok(record)
}

/// A count as PostgreSQL's `bigint`.
#[must_use]
pub fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// PostgreSQL's `bigint` as a count; nothing negative is ever stored.
#[must_use]
pub fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> (Vec<StoredEvent>, Head) {
        let head = Head::NONE;
        let events = vec![Event::Finished {}, Event::Finished {}, Event::Finished {}];
        let prepared = head.prepare(Uuid::nil(), 1, events).unwrap();
        let stored = prepared
            .records
            .iter()
            .zip(&prepared.bodies)
            .map(|(record, (body, hash))| StoredEvent { seq: record.seq, body: body.clone(), hash: *hash })
            .collect();
        (stored, prepared.after)
    }

    fn complaint(stored: &[StoredEvent], head: Head) -> String {
        verify(Head::NONE, stored, head).unwrap_err().to_string()
    }

    #[test]
    fn an_untouched_chain_holds() {
        let (stored, head) = three();
        assert_eq!(verify(Head::NONE, &stored, head).unwrap().len(), 3);
    }

    #[test]
    fn every_change_by_hand_is_found() {
        let (mut stored, head) = three();
        stored[1].body = stored[1].body.replace("finished", "Finished");
        assert!(complaint(&stored, head).contains("event 2"));

        let (mut stored, head) = three();
        stored.remove(1);
        assert!(complaint(&stored, head).contains("event 2 is missing"));

        let (mut stored, head) = three();
        stored.pop();
        assert!(complaint(&stored, head).contains("events 3 to 3 were cut off"));

        let (stored, mut head) = three();
        head.hash = Digest::of(b"other");
        assert!(complaint(&stored, head).contains("head"));
    }
}
