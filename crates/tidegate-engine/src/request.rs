//! What other processes ask of the runner: approve, stop, pause, resume.

use serde::{Deserialize, Serialize};
use tidegate_runbook::Name;
use tidegate_store::postgres::{Failure, Session};
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::digest::Digest;
use crate::event::Person;

/// A row of `tidegate.request`.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Its number.
    pub id: i64,
    /// When it was asked, by this process's clock; its age is the server's.
    pub asked: jiff::Timestamp,
    /// What is asked.
    pub body: RequestBody,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestBody {
    /// Of which run.
    pub run: Uuid,
    /// By whom; the database role is the row's.
    pub by: Person,
    /// What.
    pub ask: RequestKind,
}

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum RequestKind {
    /// Approve a confirm.
    Approve {
        /// Which.
        step: Name,
        /// The head that the approver was shown.
        head: Digest,
    },
    /// Stop the running step and halt.
    Stop {},
    /// Wait after the running step.
    Pause {},
    /// Go on after a pause.
    Resume {},
    /// Turn a knob of a step at work.
    Knob {
        /// Which step.
        step: Name,
        /// Which knob.
        knob: String,
        /// To what.
        value: String,
    },
}

impl RequestBody {
    /// Whether the running step must make way.
    #[must_use]
    pub fn is_stop(&self) -> bool {
        matches!(self.ask, RequestKind::Stop {})
    }
}

impl Request {
    /// How long ago it was asked.
    #[must_use]
    pub fn age(&self) -> std::time::Duration {
        std::time::Duration::try_from(jiff::Timestamp::now().duration_since(self.asked)).unwrap_or_default()
    }

    /// Who asks, for a message.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{} on host {}", self.body.by.actor, self.body.by.host)
    }

    /// What is asked, in a word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.body.ask {
            RequestKind::Approve { .. } => "approve",
            RequestKind::Stop {} => "stop",
            RequestKind::Pause {} => "pause",
            RequestKind::Resume {} => "resume",
            RequestKind::Knob { .. } => "knob",
        }
    }
}

/// Asks the runner. Needs no lease.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub async fn ask(session: &Session, body: &RequestBody) -> Result<i64, Failure> {
    let text = serde_json::to_string(body).unwrap_or_default();
    let rows = session
        .query("INSERT INTO tidegate.request (body) VALUES ($1) RETURNING id", &[(&text, Type::TEXT)])
        .await?;
    Ok(rows.first().map_or(0, |row| row.get(0)))
}

/// Requests not yet taken up, oldest first, with a number above `newest`. One that cannot be read is passed over.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub async fn after(session: &Session, newest: i64) -> Result<Vec<Request>, Failure> {
    let rows = session
        .query(
            "SELECT id, body, db_role, extract(epoch FROM clock_timestamp() - at)::float8 FROM tidegate.request WHERE taken_seq IS NULL AND id > $1 ORDER BY id LIMIT 1000",
            &[(&newest, Type::INT8)],
        )
        .await?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            let mut body: RequestBody = serde_json::from_str(row.get(1)).ok()?;
            body.by.db_role = row.get(2);
            let age = std::time::Duration::try_from_secs_f64(row.get(3)).unwrap_or_default();
            Some(Request { id: row.get(0), asked: jiff::Timestamp::now().checked_sub(age).ok()?, body })
        })
        .collect())
}

/// Marks a request as taken up, in the transaction that journals it.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub async fn mark_taken(session: &Session, id: i64, seq: u64) -> Result<(), Failure> {
    let seq = crate::journal::signed(seq);
    session
        .execute(
            "UPDATE tidegate.request SET taken_seq = $2 WHERE id = $1 AND taken_seq IS NULL",
            &[(&id, Type::INT8), (&seq, Type::INT8)],
        )
        .await?;
    Ok(())
}
