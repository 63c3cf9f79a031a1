//! How a command ended.

use serde::Serialize;
use tidegate_runbook::Name;

use crate::event::{HaltReason, LossLine, WaitingOn};

/// How a command that works on a run ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "ending", rename_all = "snake_case")]
pub enum Ending {
    /// Everything asked for is complete.
    Done {
        /// What that was.
        what: String,
    },
    /// Stopped, fail-closed.
    Halted {
        /// The step.
        step: Option<Name>,
        /// Why.
        reason: HaltReason,
        /// The sentence for a person.
        message: String,
        /// What to do next, the likeliest first.
        next: Vec<String>,
        /// Whom the page names.
        contacts: Vec<String>,
    },
    /// Waits for a person or a time.
    Waiting {
        /// For what.
        on: WaitingOn,
        /// What to do next.
        next: Vec<String>,
    },
    /// Taken back to the start.
    RolledBack {
        /// What was lost.
        loss: Vec<LossLine>,
    },
    /// Another runner holds the lease, or may take it now.
    LeaseLost {
        /// How that was found.
        message: String,
    },
    /// The store could not be asked; the journal holds all that is certain.
    InDoubt {
        /// What happened.
        message: String,
        /// What to do next.
        next: Vec<String>,
    },
    /// What stands differs from what was started or is declared.
    Drift {
        /// What differs.
        message: String,
        /// What to do next.
        next: Vec<String>,
    },
}
