//! How many records went which way.

use std::collections::BTreeMap;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// Numbers of one rule. Each scanned record is in exactly one of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RuleCounts {
    /// Legacy records that were looked at.
    pub scanned: u64,
    /// Copied, or in a dry run to be copied.
    pub migrated: u64,
    /// Already there, the same.
    pub identical: u64,
    /// What stands at the new key is newer, or came from this very record.
    pub skipped_newer: u64,
    /// Two records differ and neither is known to be newer.
    pub conflicts: u64,
    /// Not provably the subject's.
    pub quarantined: u64,
    /// Copied before and removed at the new key since: not copied again.
    pub deleted_since: u64,
    /// Ended before they could be copied.
    pub expired: u64,
    /// Cannot be read, or the store refused them.
    pub failed: u64,
    /// Left where they are, by a decision.
    pub left: u64,
}

impl RuleCounts {
    /// Records that keep a subject from being done.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.migrated + self.conflicts + self.quarantined + self.failed
    }
}

impl AddAssign for RuleCounts {
    fn add_assign(&mut self, other: Self) {
        self.scanned += other.scanned;
        self.migrated += other.migrated;
        self.identical += other.identical;
        self.skipped_newer += other.skipped_newer;
        self.conflicts += other.conflicts;
        self.quarantined += other.quarantined;
        self.deleted_since += other.deleted_since;
        self.expired += other.expired;
        self.failed += other.failed;
        self.left += other.left;
    }
}

impl Add for RuleCounts {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

/// Numbers by rule. A rule without records is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(pub BTreeMap<String, RuleCounts>);

impl Counts {
    /// The numbers of one rule; none: no record of it was seen.
    #[must_use]
    pub fn rule(&self, name: &str) -> Option<&RuleCounts> {
        self.0.get(name)
    }

    /// The numbers of all rules together.
    #[must_use]
    pub fn total(&self) -> RuleCounts {
        self.0.values().fold(RuleCounts::default(), |sum, rule| sum + *rule)
    }

    /// The numbers of one rule, to be changed.
    pub(crate) fn of(&mut self, name: &str) -> &mut RuleCounts {
        self.0.entry(name.to_owned()).or_default()
    }

    /// The rules whose numbers differ.
    #[must_use]
    pub fn differences(&self, found: &Self) -> Vec<Difference> {
        let mut names: Vec<&String> = self.0.keys().chain(found.0.keys()).collect();
        names.sort();
        names.dedup();
        let both = names.into_iter().map(|name| Difference {
            rule: name.clone(),
            held_to: self.rule(name).copied().unwrap_or_default(),
            found: found.rule(name).copied().unwrap_or_default(),
        });
        both.filter(|difference| difference.held_to != difference.found).collect()
    }
}

impl AddAssign<&Counts> for Counts {
    fn add_assign(&mut self, other: &Counts) {
        for (name, counts) in &other.0 {
            *self.of(name) += *counts;
        }
    }
}

impl Add<&Counts> for Counts {
    type Output = Self;

    fn add(mut self, other: &Counts) -> Self {
        self += other;
        self
    }
}

/// A rule whose numbers are not those that a run was held to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The rule's name.
    pub rule: String,
    /// What was expected.
    pub held_to: RuleCounts,
    /// What is there.
    pub found: RuleCounts,
}
