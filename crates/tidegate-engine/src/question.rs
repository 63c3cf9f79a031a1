//! Questions that records, checks, watches and commands ask, and their answers.

pub(crate) mod http;
mod hush;
mod json;
pub(crate) mod kv;
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
    /// Lines for the outcome, neither judged nor kept as values.
    pub(crate) told: Vec<String>,
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
    /// A verdict with what came back.
    #[must_use]
    pub(crate) fn new(verdict: Verdict, reply: Reply) -> Self {
        Self { verdict, reply, told: Vec::new() }
    }

    /// Does not hold.
    #[must_use]
    pub(crate) fn failed(found: String) -> Self {
        Self::new(Verdict::Fail(found), Reply::None)
    }

    /// Could not be told.
    #[must_use]
    pub(crate) fn unknown(why: String) -> Self {
        Self::new(Verdict::Unknown(why), Reply::None)
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
