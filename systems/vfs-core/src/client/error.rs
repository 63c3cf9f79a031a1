//! Why something ended badly. Each reads as what is thrown.

use serde_json::{Map, Value};
use thiserror::Error;

use super::effect::Rejections;
use super::epoch::EpochError;
use super::hydrate::StateError;
use super::push_results::PushResponseError;
use super::rematerialize::RematerializationRequired;
use super::reply::ReplyError;
use crate::guardrail::Violation;
use crate::page::{AcknowledgementError, PageError};

/// Why a sync, a flush, a hydrate or a re-materialization ended badly.
///
/// The attempt that failed, one page, one push exchange, one reconcile or one hydrate, has changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClientError {
    /// A broken guardrail.
    #[error(transparent)]
    Guardrail(Violation),
    /// A page that no guardrail is about.
    #[error(transparent)]
    Page(PageError),
    /// An acknowledgement that no guardrail is about.
    #[error(transparent)]
    Acknowledgement(AcknowledgementError),
    /// The answer to a push is none.
    #[error(transparent)]
    PushResponse(#[from] PushResponseError),
    /// A malformed answer.
    #[error(transparent)]
    Malformed(ReplyError),
    /// No answer.
    #[error("{0}")]
    Transport(String),
    /// Everything was flushed but what the server will not take: that is now among the rejected operations.
    #[error("push rejected one or more operations")]
    Rejected {
        /// Which, with the server's answers.
        results: Rejections,
    },
    /// The feed is another.
    #[error(transparent)]
    Epoch(#[from] EpochError),
    /// The server has forgotten too much, more often than the state may be taken anew.
    #[error(transparent)]
    RematerializationRequired(RematerializationRequired),
    /// What the server says the state is, is no state.
    #[error("{text}")]
    Canonical {
        /// What is wrong with it.
        text: String,
    },
    /// A page ends at the id of an operation that waits here: its export could not be taken up again.
    #[error("transport returned an item under the opId {op_id} of an operation that waits")]
    WaitingOpId {
        /// Which.
        op_id: String,
    },
    /// A write with the last number there is.
    #[error("transport returned a last write id after which there is none")]
    LastWriteId,
    /// The reply is to another kind of request.
    #[error("transport returned a reply to another request")]
    OtherRequest,
}

impl ClientError {
    /// The guardrail, where it is one: its stage, code, details and next action.
    #[must_use]
    pub const fn violation(&self) -> Option<&Violation> {
        match self {
            Self::Guardrail(violation) => Some(violation),
            _ => None,
        }
    }

    /// `stage:code`, where it is a guardrail.
    #[must_use]
    pub fn signature(&self) -> Option<String> {
        self.violation().map(Violation::signature)
    }

    /// What it is about, by name, where there is more than its text.
    #[must_use]
    pub fn details(&self) -> Option<Map<String, Value>> {
        match self {
            Self::Guardrail(violation) => violation.details(),
            Self::RematerializationRequired(required) => Some(required.details()),
            _ => None,
        }
    }

    /// What whoever sees it should do.
    #[must_use]
    pub const fn next_action(&self) -> &'static str {
        match self {
            Self::Guardrail(violation) => violation.next_action(),
            Self::Epoch(error) => error.next_action(),
            Self::RematerializationRequired(_) => {
                "export the state, look at the server's snapshot, then re-materialize: the queue is kept"
            }
            Self::Rejected { .. } => "look at the rejected operations; undo each, or try it again",
            Self::Transport(_) => {
                "try again: nothing is lost, and what the server has done is not done twice"
            }
            Self::Page(_)
            | Self::Acknowledgement(_)
            | Self::PushResponse(_)
            | Self::Malformed(_)
            | Self::Canonical { .. }
            | Self::WaitingOpId { .. }
            | Self::LastWriteId
            | Self::OtherRequest => {
                "export the state, retry once, and compare the two exports; if it persists, report the reply"
            }
        }
    }
}

impl From<PageError> for ClientError {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Guardrail(violation) => Self::Guardrail(violation),
            other => Self::Page(other),
        }
    }
}

impl From<AcknowledgementError> for ClientError {
    fn from(error: AcknowledgementError) -> Self {
        match error {
            AcknowledgementError::Guardrail(violation) => Self::Guardrail(violation),
            other => Self::Acknowledgement(other),
        }
    }
}

impl From<StateError> for ClientError {
    fn from(error: StateError) -> Self {
        Self::Canonical { text: error.to_string() }
    }
}
