//! Why a step did not come to pass.

use tidegate_runbook::{Name, Step};
use tidegate_store::postgres::{Failure, TxError};

use crate::doors::DoorError;
use crate::journal::JournalError;
use crate::program::Program;
use crate::values::ValueMissing;
use crate::verdict::Verdict;

/// Why a step did not come to pass. Unless said otherwise it had no effect.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Something that must hold does not.
    #[error("{}{step} {} ({place}): {found}", says.as_ref().map_or(String::new(), |says| format!("{says} ")), verdict.word(), found = verdict.found())]
    NotHolding {
        /// The check.
        step: Name,
        /// `file:line` of it.
        place: String,
        /// The author's sentence.
        says: Option<String>,
        /// What was found.
        verdict: Verdict,
    },
    /// The server said no.
    #[error("{message}")]
    Server {
        /// With SQLSTATE and place.
        message: String,
        /// The server's answer.
        failure: Failure,
    },
    /// A store cannot be reached.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// Another runner holds the lease now.
    #[error("another runner took the lease; this one has changed nothing since")]
    Fenced,
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(JournalError),
    /// A value is not there.
    #[error(transparent)]
    Value(#[from] ValueMissing),
    /// A rule of the engine forbids it.
    #[error("{message}")]
    Refused {
        /// What and why.
        message: String,
        /// What to do next.
        next: String,
    },
}

impl StepError {
    /// A rule of the engine forbids the step.
    #[must_use]
    pub fn refused(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Refused { message: message.into(), next: next.into() }
    }

    /// `step` must hold and does not.
    #[must_use]
    pub(crate) fn not_holding(program: &Program, step: &Step, verdict: Verdict) -> Self {
        let place = program.place_of(step);
        Self::NotHolding { step: step.id.clone(), place, says: step.says.clone(), verdict }
    }

    /// Whether a verdict could not be had, rather than being bad.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::NotHolding { verdict, .. } => verdict.is_unknown(),
            Self::Server { failure, .. } => failure.is_unknown_verdict(),
            Self::Door(error) => error.failure().is_some(),
            Self::Value(_) => true,
            Self::Fenced | Self::Journal(_) | Self::Refused { .. } => false,
        }
    }

    /// The SQLSTATE, if a server said one.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        self.server().and_then(Failure::sqlstate)
    }

    /// The server's answer, if one was had.
    #[must_use]
    pub fn server(&self) -> Option<&Failure> {
        match self {
            Self::Server { failure, .. } => Some(failure),
            Self::Door(error) => error.failure(),
            Self::Journal(JournalError::Store(failure)) => Some(failure),
            Self::NotHolding { .. }
            | Self::Fenced
            | Self::Journal(_)
            | Self::Value(_)
            | Self::Refused { .. } => None,
        }
    }
}

impl From<Failure> for StepError {
    fn from(failure: Failure) -> Self {
        Self::Server { message: failure.to_string(), failure }
    }
}

impl From<JournalError> for StepError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Fenced => Self::Fenced,
            other => Self::Journal(other),
        }
    }
}

impl TxError for StepError {
    fn failure(&self) -> Option<&Failure> {
        self.server()
    }
}
