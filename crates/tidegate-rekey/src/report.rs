//! What a run found and did.

use serde::Serialize;

use crate::{Counts, Difference, Refusal};

/// Most refusals in each list of a report.
pub const LISTED_MAX: usize = 1_000;

/// Why a run ended before its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "camelCase")]
pub enum Stopped {
    /// [`crate::STOP_KEY`] is there.
    KillSwitch,
    /// All batches that the bounds allow were written. The next run goes on from here.
    Iterations,
    /// The numbers are not those that the run was held to. Nothing was written.
    HeldTo {
        /// The rules whose numbers differ.
        differences: Vec<Difference>,
    },
    /// Somebody else took over. Nothing was written after that.
    LeaseLost,
}

/// What a run found and did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The subject's id.
    pub subject: String,
    /// Whether nothing was to be copied; then `migrated` says what would be.
    pub dry_run: bool,
    /// Whether everything is moved, by a second listing. A dry run tells what the last run found, if it still holds.
    pub done: bool,
    /// Why it ended before its end, if it did.
    pub stopped: Option<Stopped>,
    /// Batches that were written.
    pub iterations: usize,
    /// Numbers by rule, of this run.
    pub counts: Counts,
    /// Numbers by rule, of this run and of those of the same actor before it that were cut off in the same pass. As
    /// `counts` in a dry run.
    pub total: Counts,
    /// Records that were copied, over all rules.
    pub migrated: u64,
    /// Records that differ from what stands at their new key; at most [`LISTED_MAX`].
    pub conflicts: Vec<Refusal>,
    /// Records that are not provably the subject's; at most [`LISTED_MAX`].
    pub quarantined: Vec<Refusal>,
    /// Records that cannot be read or written; at most [`LISTED_MAX`].
    pub errors: Vec<Refusal>,
    /// Refusals that the lists have no room for.
    pub more: u64,
    /// Records kept in place that are not JSON and name nobody: whose they are cannot be told.
    pub unattributed: u64,
    /// The last record of the last batch, where the run ended before its end.
    pub cursor: Option<String>,
}

/// Refusals, each list within its bound.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refusals {
    pub(crate) conflicts: Vec<Refusal>,
    pub(crate) quarantined: Vec<Refusal>,
    pub(crate) errors: Vec<Refusal>,
    pub(crate) more: u64,
}

/// Which list a refusal stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    Conflicts,
    Quarantined,
    Errors,
}

impl Refusals {
    pub(crate) fn push(&mut self, list: List, refusal: Refusal) {
        let listed = match list {
            List::Conflicts => &mut self.conflicts,
            List::Quarantined => &mut self.quarantined,
            List::Errors => &mut self.errors,
        };
        if listed.len() < LISTED_MAX {
            listed.push(refusal);
        } else {
            self.more += 1;
        }
    }

    pub(crate) fn extend(&mut self, others: &[(List, Refusal)]) {
        for (list, refusal) in others {
            self.push(*list, refusal.clone());
        }
    }
}

/// What a cleanup removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cleaned {
    /// The subject's id.
    pub subject: String,
    /// Legacy keys that were removed.
    pub deleted: u64,
    /// Legacy keys that were not there any more.
    pub gone: u64,
    /// Legacy keys that were written after they were copied, and kept; at most [`LISTED_MAX`].
    pub kept: Vec<Refusal>,
    /// Kept keys that the list has no room for.
    pub more: u64,
    /// Whether [`crate::STOP_KEY`] ended it early.
    pub stopped: bool,
}
