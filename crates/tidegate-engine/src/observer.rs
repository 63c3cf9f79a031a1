//! How the world learns what a run does. The engine itself never prints.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tidegate_runbook::Name;

use crate::event::EventRecord;

/// Told of every event once it is committed, and of progress between events.
pub trait Observer {
    /// An event was committed.
    fn event(&mut self, record: &EventRecord);

    /// Something worth showing to a waiting person; not journaled.
    fn progress(&mut self, progress: Progress);

    /// Asks the person at the terminal for a confirm, if there is one. `None`: nobody is there.
    ///
    /// A person may take long: the runner gives signs of life while it waits, so the answer must not block the thread.
    fn ask(&mut self, ask: &Ask) -> Asking;
}

/// An answer to come.
pub type Asking = Pin<Box<dyn Future<Output = Option<Answer>>>>;

/// Between events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A step is at work.
    Working {
        /// Which.
        step: Name,
        /// What it does.
        what: String,
    },
    /// The step waits for locks of others.
    Blocked {
        /// Which.
        step: Name,
        /// Who holds them: role, application, state, since when, what they run.
        by: Vec<String>,
    },
    /// Flags were moved, and some instances have not got there yet.
    Draining {
        /// Which step.
        step: Name,
        /// Who keeps it waiting.
        by: Vec<String>,
    },
    /// Rows are being copied.
    Copying {
        /// Which step.
        step: Name,
        /// Rows that this attempt has written.
        rows_written: u64,
        /// On average, over this attempt.
        rows_per_second: u64,
        /// Why it is slowed, and since when.
        slowed: Option<String>,
    },
    /// A check does not hold yet, and is asked again.
    NotYet {
        /// Which.
        step: Name,
        /// What it answered.
        verdict: String,
        /// How long it is still asked.
        left: Duration,
    },
    /// A hold is being served.
    Holding {
        /// Which stage.
        stage: Name,
        /// How long it still lasts.
        left: Duration,
    },
    /// A connection was lost and is being made again.
    Reconnecting {
        /// Why.
        why: String,
    },
    /// `on_halt` was run.
    HaltHook {
        /// How it went.
        what: String,
    },
}

/// A question to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The confirm step.
    pub step: Name,
    /// The page's text, values put in.
    pub text: String,
    /// What it releases: the steps that require it.
    pub releases: Vec<Name>,
    /// Who may answer; empty: anybody.
    pub approvers: Vec<String>,
    /// The run's actor may not.
    pub not_actor: bool,
    /// The journal's head.
    pub head: String,
}

/// A person's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Approved in this name.
    Approve {
        /// The claimed name.
        actor: String,
    },
    /// Not now.
    Decline,
}
