//! Where a subject's migration stands.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Counts;

/// Where a subject's migration stands, as `migration:<id>:state` holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// When the last run wrote here, by the store's clock.
    pub last_run: Timestamp,
    /// Records that all runs together copied.
    pub migrated: u64,
    /// Whether the last full pass left nothing to do.
    pub done: bool,
    /// Whether the numbers are a dry run's; absent: they are not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Records that cannot be read or written; absent: none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub errors: u64,
    /// Records that differ from what stands at their new key; absent: none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub conflicts: u64,
    /// Records in quarantine; absent: none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub quarantined: u64,
    /// Numbers by rule of the last pass, over all the runs that it took.
    #[serde(default)]
    pub stats: Counts,
    /// Who copied last; absent: nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<Pass>,
}

/// What one actor has done in a pass, over all of its runs: one that was cut off is told of by the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pass {
    /// Who it is, as in the lease.
    pub actor: String,
    /// Its numbers by rule.
    pub stats: Counts,
}

impl State {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            last_run: now,
            migrated: 0,
            done: false,
            dry_run: false,
            errors: 0,
            conflicts: 0,
            quarantined: 0,
            stats: Counts::default(),
            pass: None,
        }
    }

    /// Begins a pass of this actor, or goes on with its own.
    pub(crate) fn begin(&mut self, actor: &str, goes_on: bool) {
        if !goes_on {
            self.stats = Counts::default();
        } else if let Some(pass) = self.pass.as_ref().filter(|_| self.dry_run) {
            // A dry run has put its own numbers there meanwhile.
            self.stats = pass.stats.clone();
        }
        if !goes_on || self.pass.as_ref().is_none_or(|pass| pass.actor != actor) {
            self.pass = Some(Pass { actor: actor.to_owned(), stats: Counts::default() });
        }
    }

    /// Adds a batch.
    pub(crate) fn add(&mut self, counts: &Counts) {
        self.stats += counts;
        if let Some(pass) = &mut self.pass {
            pass.stats += counts;
        }
    }

    /// What this actor has done in the last pass; none: that was another one's.
    pub(crate) fn done_by(&self, actor: &str) -> Option<&Counts> {
        self.pass.as_ref().filter(|pass| pass.actor == actor).map(|pass| &pass.stats)
    }

    /// Puts the numbers of the open records beside the others.
    pub(crate) fn sum_up(&mut self, open: &Counts) {
        let total = open.total();
        (self.errors, self.conflicts, self.quarantined) = (total.failed, total.conflicts, total.quarantined);
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
