//! The barrier: who is inside, and who may still be outside of it.

use std::fmt;
use std::time::Duration;

use tidegate_store::postgres::{Session, Type};

use crate::answer::{found, value};
use crate::error::FlagsError;

const CLOSE: &str = "SELECT pg_catalog.pg_advisory_xact_lock(tidegate.flag_lock($1))";

/// A transaction that holds the barrier, or waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// The backend; `None` for a prepared transaction.
    pub pid: Option<i32>,
    /// The name it gave itself.
    pub application: String,
    /// How long its transaction has been open; `None` where this role may not see that.
    pub open_for: Option<Duration>,
    /// Whether it is inside; otherwise it waits.
    pub inside: bool,
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid} ({})", self.application)?,
            None => f.write_str("a prepared transaction")?,
        }
        f.write_str(if self.inside { " is inside" } else { " waits" })?;
        match self.open_for {
            Some(span) => write!(f, ", its transaction open for {} ms", span.as_millis()),
            None => Ok(()),
        }
    }
}

/// Takes the barrier for this transaction alone: waits until every writer inside has ended, and keeps others out.
///
/// New writers queue behind whoever waits here, so the transaction's lock timeout should be short, and the whole be
/// tried again.
///
/// # Errors
/// [`FlagsError::NotInstalled`], or the server's: a lock timeout where writers stay inside.
pub async fn close_barrier(session: &Session, name: &str) -> Result<(), FlagsError> {
    found(session.query(CLOSE, &[(&name, Type::TEXT)]).await)?;
    Ok(())
}

/// Who else holds the barrier or waits for it, holders first, at most [`crate::LISTED_MAX`].
///
/// # Errors
/// [`FlagsError::NotInstalled`], or the server's.
pub async fn open_writers(session: &Session, name: &str) -> Result<Vec<Writer>, FlagsError> {
    let rows = found(session.query(include_str!("sql/open_writers.sql"), &[(&name, Type::TEXT)]).await)?;
    let what = "a lock";
    rows.iter()
        .map(|row| {
            Ok(Writer {
                pid: value(row, 0, what)?,
                application: value(row, 1, what)?,
                open_for: span(value(row, 2, what)?),
                inside: value(row, 3, what)?,
            })
        })
        .collect()
}

/// A transaction that may have looked for the set before it was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OlderTransaction {
    /// The backend; `None` for a prepared transaction.
    pub pid: Option<i32>,
    /// The name it gave itself, or that of the prepared transaction.
    pub application: String,
    /// Its role.
    pub user: Option<String>,
    /// How long it has been open; `None` where that cannot be seen, which counts as older.
    pub open_for: Option<Duration>,
}

impl fmt::Display for OlderTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_deref().unwrap_or("an unknown role");
        match (self.pid, self.open_for) {
            (None, _) => write!(
                f,
                "prepared transaction '{}' of {user} is open; commit it or roll it back",
                self.application
            ),
            (Some(pid), Some(span)) => write!(
                f,
                "process {pid} ({}) of {user} has had its transaction open for {} ms, since before the flag set; let \
                 it end, or end it",
                self.application,
                span.as_millis()
            ),
            (Some(pid), None) => write!(
                f,
                "process {pid} ({}) of {user} is in a transaction, and this role may not see since when; GRANT \
                 pg_read_all_stats to it",
                self.application
            ),
        }
    }
}

/// Other transactions of this database that began before the set was certainly declared, the oldest first, at most
/// [`crate::LISTED_MAX`]. The first move waits until there are none: they may have found no set and write without the
/// barrier.
///
/// # Errors
/// [`FlagsError::NotInstalled`], or the server's.
pub async fn older_transactions(session: &Session, name: &str) -> Result<Vec<OlderTransaction>, FlagsError> {
    let asked = session.query(include_str!("sql/older_transactions.sql"), &[(&name, Type::TEXT)]).await;
    let what = "a session";
    found(asked)?
        .iter()
        .map(|row| {
            Ok(OlderTransaction {
                pid: value(row, 0, what)?,
                application: value(row, 1, what)?,
                user: value(row, 2, what)?,
                open_for: span(value(row, 3, what)?),
            })
        })
        .collect()
}

fn span(milliseconds: Option<i64>) -> Option<Duration> {
    milliseconds.map(|number| Duration::from_millis(u64::try_from(number).unwrap_or(0)))
}
