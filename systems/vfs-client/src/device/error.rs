//! Why a client could not do something.

use std::path::PathBuf;

use thiserror::Error;
use vfs_core::client::{ClientError, QueueError};
use vfs_core::guardrail::Violation;

use crate::home::HomeError;
use crate::store::StoreError;
use crate::transport::TransportError;

/// Why a client could not do something.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// Its directory.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Its store.
    #[error(transparent)]
    Store(StoreError),
    /// The kept state cannot be taken up. Nothing was changed.
    #[error("{}", violation.message())]
    Hydrate {
        /// The broken guardrail, which was counted.
        violation: Violation,
        /// The newest export that is known to be good, if there is one.
        last_good: Option<PathBuf>,
    },
    /// A sync, a flush or a re-materialization.
    #[error(transparent)]
    Client(ClientError),
    /// An operation that is not queued.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A request beside the operations.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Ids or addresses of the client's directory.
    #[error("the client's directory names what cannot be: {0}")]
    Identity(String),
    /// There is no such task.
    #[error("there is no task {0}; `vfs queue` lists them")]
    NoTask(i64),
    /// The clock of this machine.
    #[error("this machine's clock says a year that is none")]
    Clock,
}

impl From<StoreError> for DeviceError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<ClientError> for DeviceError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl DeviceError {
    /// The broken guardrail, if it is one.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        match self {
            Self::Hydrate { violation, .. } => Some(violation),
            Self::Client(error) => error.violation(),
            _ => None,
        }
    }
}
