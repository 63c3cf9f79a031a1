//! What a client tells while it works, and what it did.

use std::time::Duration;

use serde::Serialize;
use vfs_core::client::Notice;

/// What is told while a client works.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// A broken guardrail, or that the server has forgotten what was needed. It comes before the error.
    Notice(Notice),
    /// Operations were pushed: so many of so many that waited.
    Pushing {
        /// Of them.
        operations: usize,
        /// Those that wait in all.
        waiting: usize,
    },
    /// A page was read.
    Read {
        /// Its operations.
        operations: usize,
    },
    /// A task is done.
    Done(String),
    /// The server will not do a task.
    Refused {
        /// Which.
        task: String,
        /// Its words.
        why: String,
    },
    /// Something did not work and is tried again.
    Again {
        /// Why.
        why: String,
        /// After how long.
        pause: Duration,
    },
}

/// What a sync did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Synced {
    /// Operations that the server took.
    pub pushed_operations: usize,
    /// Operations that were read.
    pub pulled_operations: usize,
    /// Pages that they came in.
    pub pull_pages: usize,
    /// Operations that the server will not take: they are among the rejected ones.
    pub rejected_operations: usize,
    /// Times that the state was taken anew.
    pub rematerializations: u32,
    /// Tasks that are done.
    pub tasks_done: usize,
    /// Tasks that the server will not do.
    pub tasks_refused: usize,
    /// Items that were looked at anew.
    pub items: usize,
}
