//! Where a run stands: the fold of its events.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use tidegate_runbook::Name;
use uuid::Uuid;

use crate::digest::Digest;
use crate::event::{Back, Binding, HaltReason, LossLine, Person, WaitingOn};
use crate::knobs::Knobs;
use crate::outcome::Outcome;

/// One run, as far as its events tell. Only [`crate::transition::next`] changes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunState {
    /// Its id.
    pub run: Uuid,
    /// The runbook's id.
    pub runbook: Name,
    /// The page's title.
    pub title: String,
    /// Digest of the sources it follows now.
    pub plan: Digest,
    /// Digest of their meaning.
    pub meaning: Digest,
    /// Who started it.
    pub by: Person,
    /// When it started.
    pub started_at: Timestamp,
    /// Parameters in canonical text, secrets masked.
    pub parameters: BTreeMap<String, String>,
    /// What it is bound to.
    pub bound_to: Binding,
    /// Its life.
    pub phase: Phase,
    /// Steps that have begun, in any way.
    pub steps: BTreeMap<Name, StepState>,
    /// Changing steps in the order in which they were first started.
    pub started: Vec<Name>,
    /// Standing approvals.
    pub approvals: BTreeMap<Name, Approval>,
    /// Watches that were opened.
    pub watches: BTreeMap<Name, WatchState>,
    /// Holds that were begun.
    pub holds: BTreeMap<Name, HoldState>,
    /// Flag sets that this run moved.
    pub flags: BTreeMap<Name, FlagsState>,
    /// What was turned of steps at work.
    pub knobs: BTreeMap<Name, Knobs>,
    /// Read-only steps evaluated again, with the event that says so.
    pub rechecked: BTreeMap<Name, Recheck>,
    /// The newest event that makes read-only results stale: a change, a halt, a resume.
    pub disturbed: u64,
    /// The newest event.
    pub last_seq: u64,
    /// When that was.
    pub last_at: Timestamp,
}

/// The life of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// Work goes forward, or the runner died while it did.
    Open {},
    /// Stopped, fail-closed.
    Halted {
        /// The step it stopped at.
        step: Option<Name>,
        /// Why.
        reason: HaltReason,
        /// The sentence for a person.
        message: String,
        /// The way back it was on.
        back: Option<GoingBack>,
    },
    /// Waits for a person or a time.
    Waiting {
        /// For what.
        on: WaitingOn,
        /// The way back it is on.
        back: Option<GoingBack>,
    },
    /// On a way back, or the runner died while it was.
    GoingBack(GoingBack),
    /// All stages are complete.
    Finished {},
    /// Taken back to the start.
    RolledBack {},
    /// Given up.
    Abandoned {
        /// Why.
        reason: String,
    },
}

impl Phase {
    /// Whether a new run may start beside it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Finished {} | Self::RolledBack {} | Self::Abandoned { .. } => true,
            Self::Open {} | Self::Halted { .. } | Self::Waiting { .. } | Self::GoingBack(_) => false,
        }
    }

    /// The word that `status` prints.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Open {} => "open",
            Self::Halted { .. } => "halted",
            Self::Waiting { .. } => "waiting",
            Self::GoingBack(_) => "rolling back",
            Self::Finished {} => "finished",
            Self::RolledBack {} => "rolled back",
            Self::Abandoned { .. } => "abandoned",
        }
    }

    /// The way back that is under way, if any.
    #[must_use]
    pub fn back(&self) -> Option<&GoingBack> {
        match self {
            Self::GoingBack(back) => Some(back),
            Self::Halted { back, .. } | Self::Waiting { back, .. } => back.as_ref(),
            Self::Open {} | Self::Finished {} | Self::RolledBack {} | Self::Abandoned { .. } => None,
        }
    }
}

/// A way back that is under way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GoingBack {
    /// By undo or along a way.
    pub back: Back,
    /// What is undone or run, in order.
    pub order: Vec<Name>,
    /// The loss statement that was accepted.
    pub loss: Vec<LossLine>,
}

/// Where a step stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum StepState {
    /// Its intent is journaled and its outcome is not.
    Started {
        /// Which attempt.
        attempt: u32,
        /// Since when.
        at: Timestamp,
    },
    /// Complete.
    Done {
        /// Which attempt.
        attempt: u32,
        /// What it did and kept. Shared: a state is copied for every event, and outcomes are most of it.
        #[serde(serialize_with = "as_it_is")]
        outcome: Arc<Outcome>,
        /// The event that says so.
        seq: u64,
        /// When.
        at: Timestamp,
    },
    /// Its last attempt failed.
    Failed {
        /// Which attempt.
        attempt: u32,
        /// A verdict could not be had.
        unknown: bool,
        /// What was found.
        message: String,
        /// When.
        at: Timestamp,
    },
    /// Its effect was taken back.
    Undone {
        /// Attempts so far.
        attempt: u32,
        /// When.
        at: Timestamp,
    },
}

fn as_it_is<S: Serializer>(outcome: &Arc<Outcome>, serializer: S) -> Result<S::Ok, S::Error> {
    outcome.serialize(serializer)
}

impl StepState {
    /// Attempts so far.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        match self {
            Self::Started { attempt, .. }
            | Self::Done { attempt, .. }
            | Self::Failed { attempt, .. }
            | Self::Undone { attempt, .. } => *attempt,
        }
    }

    /// What it did and kept, if complete.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Done { outcome, .. } => Some(outcome),
            Self::Started { .. } | Self::Failed { .. } | Self::Undone { .. } => None,
        }
    }
}

/// Where a flag set stands, as far as this run moved it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlagsState {
    /// The row before the newest move.
    pub from: Option<String>,
    /// The row that rules.
    pub row: String,
    /// Its epoch.
    pub epoch: u64,
    /// Writes are mirrored.
    pub mirrors: bool,
    /// The step of the newest move.
    pub step: Name,
    /// The event since which writes have been mirrored by every instance, without a break.
    pub drained: Option<u64>,
}

/// A person's approval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Approval {
    /// Who.
    pub by: Person,
    /// When.
    pub at: Timestamp,
}

/// Where a watch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchState {
    /// It looks.
    Open,
    /// It tripped and has not passed since.
    Tripped,
    /// It reached its end.
    Closed,
}

/// How much of a hold was served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HoldState {
    /// Seconds under watch so far.
    pub served_seconds: u64,
    /// Nothing is left.
    pub complete: bool,
}

/// A read-only step that was evaluated again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Recheck {
    /// The event that says so.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Whether it held.
    pub holds: bool,
}
