//! Questions that records, checks, watches and commands ask, and their answers.

pub(crate) mod http;
mod hush;
pub(crate) mod script;
pub(crate) mod sql;

use tidegate_store::postgres::Failure;

use crate::doors::DoorError;
use crate::values::{Relation, Value};
use crate::verb::compare::Comparison;
use crate::verdict::Verdict;

/// An answer with its verdict.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    /// Whether it holds.
    pub(crate) verdict: Verdict,
    /// What came back.
    pub(crate) reply: Reply,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Nothing that could be kept.
    None,
    /// Rows.
    Rows(Relation),
    /// Values by name.
    Values(Vec<(String, Value)>),
    /// What a comparison found.
    Compared(Box<Comparison>),
}

impl Answered {
    /// Does not hold.
    #[must_use]
    pub(crate) fn failed(found: String) -> Self {
        Self { verdict: Verdict::Fail(found), reply: Reply::None }
    }

    /// Could not be told.
    #[must_use]
    pub(crate) fn unknown(why: String) -> Self {
        Self { verdict: Verdict::Unknown(why), reply: Reply::None }
    }

    /// The store could not be reached.
    #[must_use]
    pub(crate) fn unreached(error: &DoorError) -> Self {
        let why = error.failure().map_or_else(|| error.to_string(), |failure| format!("{error}: {failure}"));
        Self::unknown(why)
    }

    /// Unknown if the failure says nothing about the data, else fail.
    #[must_use]
    pub(crate) fn of_failure(found: String, failure: &Failure) -> Self {
        if failure.is_unknown_verdict() { Self::unknown(found) } else { Self::failed(found) }
    }
}
