//! Decisions that a person takes about a run: give it up, accept what differs, take over an edited page, adopt what
//! exists. Each is journaled with its name and reason; none changes an object of the store.

mod amendment;
mod presence;
mod shape;
mod standing;

use tidegate_runbook::Name;

use crate::ending::Ending;
use crate::error::StepError;

pub(crate) use amendment::objections;
pub(crate) use presence::Presence;
pub(crate) use shape::{Difference, Shapes, shapes};
pub use standing::standing;

/// A decision that was journaled.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Decision {
    /// What was decided, in one sentence.
    pub what: String,
    /// What it rests on or touches, one line each.
    pub details: Vec<String>,
    /// What to do next.
    pub next: String,
}

/// A decision that was not journaled. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// Nothing of that name differs.
    #[error(
        "nothing that differs is called {subject:?}: {}",
        if present.is_empty() { "no version of the page differs from the version table".to_owned() }
        else { format!("what differs now is {}", present.join(", ")) }
    )]
    UnknownSubject {
        /// What was given.
        subject: String,
        /// What could have been given.
        present: Vec<String>,
    },
    /// The page has no such step.
    #[error("the page has no step {step}; `tidegate status` lists its steps")]
    UnknownStep {
        /// What was given.
        step: Name,
    },
    /// A rule of the engine forbids it.
    #[error("{message}{}", listed(found))]
    Refused {
        /// What and why.
        message: String,
        /// What stands in the way, one line each.
        found: Vec<String>,
        /// What to do next.
        next: String,
    },
    /// A check does not hold, or the store could not be asked.
    #[error(transparent)]
    Step(StepError),
    /// The runner cannot go on: the lease was lost, or the store could not be asked.
    #[error("the decision is not known to be journaled")]
    Stopped(Box<Ending>),
}

impl DecideError {
    pub(crate) fn refused(message: impl Into<String>, found: Vec<String>, next: impl Into<String>) -> Self {
        Self::Refused { message: message.into(), found, next: next.into() }
    }
}

/// Lines under a sentence.
fn listed(found: &[String]) -> String {
    let lines: String = found.iter().map(|line| format!("\n  {line}")).collect();
    if lines.is_empty() { lines } else { format!(":{lines}") }
}
