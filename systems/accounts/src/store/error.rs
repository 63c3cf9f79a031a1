//! Why a store did not do what was asked.

use tidegate_store::postgres::{Failure, FromSql, Row, TxError};

/// An error of a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused, or did not answer.
    #[error("{0}")]
    Database(#[from] Failure),
    /// The other schema refused what this one took; nothing of either remains.
    #[error("the other schema refused the copy of {table}: {failure}; nothing was written to either")]
    Mirror {
        /// Which rows.
        table: &'static str,
        /// What the database said.
        failure: Failure,
    },
    /// What was asked for makes no sense; the text is for the caller.
    #[error("{0}")]
    Invalid(&'static str),
    /// Somebody else has what was asked for; the text is for the caller.
    #[error("{0}")]
    Taken(&'static str),
    /// Another write came first.
    #[error("the book is at version {current}, not {expected}")]
    SnapshotConflict {
        /// What the caller took it to be at.
        expected: String,
        /// What it is at.
        current: i64,
        /// The newest ledger head. `None`: none was told.
        ledger_head: Option<String>,
    },
    /// A row came back in another shape than this program knows.
    #[error("column {at} of an answer cannot be read: {reason}; is the schema that of this program?")]
    Shape {
        /// Which column, from 0.
        at: usize,
        /// Why not.
        reason: String,
    },
}

impl TxError for StoreError {
    fn failure(&self) -> Option<&Failure> {
        match self {
            StoreError::Database(failure) | StoreError::Mirror { failure, .. } => Some(failure),
            _ => None,
        }
    }
}

/// A column of a row.
pub(crate) fn column<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, StoreError> {
    row.try_get(at).map_err(|error| StoreError::Shape { at, reason: error.to_string() })
}

/// A failure of an INSERT, where a row with the same key means that somebody else has what was asked for.
pub(super) fn taken(failure: Failure, text: &'static str) -> StoreError {
    const UNIQUE_VIOLATION: &str = "23505";
    match failure.sqlstate() {
        Some(UNIQUE_VIOLATION) => StoreError::Taken(text),
        _ => StoreError::Database(failure),
    }
}
