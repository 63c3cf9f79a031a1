//! What a history comes to.

use super::operation::{Fate, Register};

/// Violations that are kept as examples; all are counted.
const EXAMPLES_MAX: usize = 20;

/// Kinds of violation.
const KINDS: usize = 5;

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// An acknowledged write is not there, and no later one explains it.
    Lost,
    /// A value was found after its deletion was acknowledged.
    Resurrected,
    /// A value was found twice, or under another version than its own, or two writes were acknowledged as the same one.
    Duplicated,
    /// A read that began after a newer value was acknowledged, or seen, found an older one.
    Stale,
    /// A value was found that was refused, or not even sent yet.
    Invented,
}

/// One answer that cannot be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What is wrong.
    pub wrong: Wrong,
    /// In words.
    pub what: String,
}

/// What a history comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Registers.
    pub registers: usize,
    /// Writes that were acknowledged.
    pub acknowledged: usize,
    /// Writes whose outcome nobody said.
    pub unknown: usize,
    /// Writes that were refused.
    pub refused: usize,
    /// Reads.
    pub reads: usize,
    /// The first violations, each with its key in front.
    pub violations: Vec<Violation>,
    counts: [usize; KINDS],
}

impl Verdict {
    /// Adds what one register came to.
    pub(super) fn add(&mut self, key: &str, register: &Register, violations: Vec<Violation>) {
        let count = |fate| register.writes.iter().filter(|write| write.fate == fate).count();
        self.registers += 1;
        self.acknowledged += count(Fate::Acknowledged);
        self.unknown += count(Fate::Unknown);
        self.refused += count(Fate::Refused);
        self.reads += register.reads.len();
        for violation in violations {
            if let Some(counted) = self.counts.get_mut(violation.wrong as usize) {
                *counted += 1;
            }
            if self.violations.len() < EXAMPLES_MAX {
                let what = format!("{key}: {}", violation.what);
                self.violations.push(Violation { what, ..violation });
            }
        }
    }

    /// Whether every answer can be true.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    /// How many answers are wrong in this way.
    #[must_use]
    pub fn count(&self, wrong: Wrong) -> usize {
        self.counts.get(wrong as usize).copied().unwrap_or_default()
    }
}
