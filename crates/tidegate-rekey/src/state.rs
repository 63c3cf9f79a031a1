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
        }
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
