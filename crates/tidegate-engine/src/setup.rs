//! What a command needs before it can open a run, and why it may not.

use std::collections::BTreeMap;

use tidegate_runbook::Name;

use crate::doors::DoorError;
use crate::journal::JournalError;
use crate::lease::{HolderInfo, LeaseError};
use crate::parameters::ParameterError;

/// What the operator said.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--actor`.
    pub actor: String,
    /// `--set name=value`.
    pub sets: BTreeMap<String, String>,
    /// The bundle of `--evidence`.
    pub evidence: Option<Vec<u8>>,
    /// Why a page with `[needs_run]` is started without a bundle, such as in the place that makes the first one; journaled.
    pub without_evidence: Option<String>,
    /// Whether a new run may start after a final one of a runbook that is not `repeatable`.
    pub again: bool,
    /// The head that `--head` says the journal must hold.
    pub head: Option<String>,
    /// Where this user's last seen heads are kept; `None`: nowhere.
    pub memory: Option<std::path::PathBuf>,
}

/// A run cannot be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Parameters cannot be used.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Parameters(Vec<ParameterError>),
    /// A store cannot be reached.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Another runner holds the lease.
    #[error("another runner holds the lease: {0}")]
    Held(HolderInfo),
    /// Another runner took the lease in this moment.
    #[error("another runner took the lease in this moment: {0}")]
    Raced(String),
    /// The lease could not be asked for.
    #[error("the lease could not be taken: {0}")]
    Lease(String),
    /// The server is a standby or refuses writes.
    #[error("{0}")]
    ReadOnly(String),
    /// What stands differs from what was started or is declared.
    #[error("{message}")]
    Drift {
        /// What differs.
        message: String,
        /// What to do next.
        next: String,
    },
    /// Another run stands in the way.
    #[error("{message}")]
    Refused {
        /// What and why.
        message: String,
        /// What to do next.
        next: String,
    },
    /// There is no run.
    #[error("there is no run of {runbook} in this database")]
    NoRun {
        /// The runbook.
        runbook: Name,
    },
    /// A store named by the page is not what the page says.
    #[error("{0}")]
    Binding(String),
}

impl From<LeaseError> for OpenError {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Held(holder) => Self::Held(holder),
            LeaseError::Raced => Self::Raced("see who with `tidegate status`".to_owned()),
            LeaseError::Store(failure) => Self::Lease(failure.to_string()),
        }
    }
}

impl From<tidegate_store::postgres::Failure> for OpenError {
    fn from(failure: tidegate_store::postgres::Failure) -> Self {
        Self::Journal(JournalError::Store(failure))
    }
}
