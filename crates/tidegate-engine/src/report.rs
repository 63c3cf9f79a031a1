//! A run as a document: what the page asked for, in the page's order, and what happened under each of it.

mod gather;
mod markdown;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use tidegate_runbook::{Name, SourcePath};
use uuid::Uuid;

use crate::digest::Digest;
use crate::event::{Back, Binding, HaltReason, LossLine, Person};
use crate::outcome::Outcome;
use crate::program::Program;
use crate::state::Phase;

pub use gather::report;

/// Everything that the journal tells of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The run.
    pub run: Uuid,
    /// The runbook's id.
    pub runbook: Name,
    /// The page's title.
    pub title: String,
    /// The page, if its texts are still kept.
    pub page: Option<SourcePath>,
    /// Digest of the texts that the run was started with.
    pub plan: Digest,
    /// Who started it.
    pub by: Person,
    /// Version of the program that started it.
    pub program: String,
    /// Parameters in canonical text, secrets masked.
    pub parameters: BTreeMap<String, String>,
    /// What it is bound to.
    pub bound_to: Binding,
    /// Digest of the evidence of another run that it needed.
    pub needs_run: Option<Digest>,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended; `None` if it is not final.
    pub ended_at: Option<Timestamp>,
    /// Its life.
    pub phase: Phase,
    /// Stages in document order, then ways.
    pub sections: Vec<Section>,
    /// What happened to the run as a whole, in order.
    pub course: Vec<Turn>,
    /// The journal's newest event when this was made.
    pub head_event: u64,
    /// Its hash: keep it elsewhere.
    pub head: Digest,
}

/// A stage or a way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Section {
    /// Its id.
    pub id: Name,
    /// Its heading.
    pub title: String,
    /// Whether it is a written way back.
    pub way: bool,
    /// Whether it runs only when named.
    pub manual: bool,
    /// Seconds of its hold that were served under watch; `None` if it has no hold.
    pub hold_served_seconds: Option<u64>,
    /// Its steps in document order.
    pub steps: Vec<StepReport>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepReport {
    /// Its id.
    pub id: Name,
    /// Its verb; empty if the page does not have the step any more.
    pub verb: String,
    /// What it does, in a few words.
    pub what: String,
    /// What happened, in order.
    pub happened: Vec<Happened>,
}

/// One thing that happened to a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Happened {
    /// The event's number.
    pub event: u64,
    /// When, by the runner's clock.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened to a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// An attempt began.
    Started {
        /// Which.
        attempt: u32,
    },
    /// It came to pass.
    Done {
        /// Which attempt.
        attempt: u32,
        /// What it did and kept.
        outcome: Box<Outcome>,
    },
    /// It did not.
    Failed {
        /// Which attempt.
        attempt: u32,
        /// A verdict could not be had.
        unknown: bool,
        /// What was found.
        message: String,
        /// SQLSTATE, if a server said one.
        sqlstate: Option<String>,
    },
    /// Evaluated again because another step relies on it.
    Rechecked {
        /// Whether it held.
        holds: bool,
        /// What was found.
        message: String,
    },
    /// A flag set was moved.
    FlagsMoved {
        /// The set.
        set: Name,
        /// The row before.
        from: String,
        /// The row that rules since.
        to: String,
        /// Its epoch.
        epoch: u64,
    },
    /// A knob was turned.
    KnobTurned {
        /// Which.
        knob: String,
        /// To what.
        value: String,
        /// Who.
        by: Person,
    },
    /// A session of another was ended.
    SessionEnded {
        /// Role, application, state and process.
        session: String,
    },
    /// A person approved it.
    Approved {
        /// Who.
        by: Person,
        /// The head that the person was shown.
        head: Digest,
    },
    /// A watch began to look.
    WatchOpened {},
    /// A watch failed.
    WatchTripped {
        /// What it saw.
        message: String,
        /// `halt`, `rollback` or `notify`.
        action: String,
    },
    /// A watch reached its end.
    WatchClosed {
        /// Looks that were judged.
        looks: u64,
        /// Longest time between two looks, in milliseconds.
        longest_gap_ms: u64,
    },
    /// Its effect was taken back.
    Undone {
        /// What was lost.
        loss: Vec<LossLine>,
    },
    /// What existed counts as its effect.
    Adopted {
        /// What was compared and kept.
        outcome: Box<Outcome>,
        /// Who.
        by: Person,
        /// Why.
        reason: String,
    },
}

/// One turn in the course of the run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Turn {
    /// The event's number.
    pub event: u64,
    /// When, by the runner's clock.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: Course,
}

/// What happened to the run as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "turn", rename_all = "snake_case")]
pub enum Course {
    /// It began.
    Started {},
    /// A runner took it up.
    Resumed {
        /// Who.
        by: Person,
        /// Backends of the holder before that were ended.
        ended_backends: u64,
    },
    /// It stopped.
    Halted {
        /// The step.
        step: Option<Name>,
        /// Why.
        reason: HaltReason,
        /// The sentence for a person.
        message: String,
    },
    /// It waited.
    Waiting {
        /// For what, in words.
        on: String,
    },
    /// A request of another process was taken up.
    Request {
        /// What it was.
        what: String,
        /// Why it could not be followed.
        refused: Option<String>,
    },
    /// An edited page was taken over.
    Amended {
        /// Steps that changed.
        changed: Vec<Name>,
        /// Digest of the texts from then on.
        plan: Digest,
        /// Who.
        by: Person,
        /// Why.
        reason: String,
    },
    /// Something that differs was accepted.
    DriftAccepted {
        /// What.
        subject: String,
        /// Who.
        by: Person,
        /// Why.
        reason: String,
    },
    /// A way back began.
    RollbackStarted {
        /// Which.
        back: Back,
        /// Steps in order.
        order: Vec<Name>,
        /// The loss that was accepted.
        loss: Vec<LossLine>,
        /// Who.
        by: Person,
    },
    /// A way back ended.
    RollbackEnded {
        /// At which stage; `None` is the start.
        at: Option<Name>,
    },
    /// All stages were complete.
    Finished {},
    /// It was given up.
    Abandoned {
        /// Who.
        by: Person,
        /// Why.
        reason: String,
    },
}

impl Report {
    /// The report as a Markdown document.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        markdown::write(self)
    }
}

/// The words for a step that the page does not have any more.
fn step_words(program: Option<&Program>, id: &Name) -> (String, String) {
    program.and_then(|program| program.step(id)).map_or_else(
        || (String::new(), "not in the page any more".to_owned()),
        |step| (step.action.verb().to_owned(), crate::plan::describe(step)),
    )
}
