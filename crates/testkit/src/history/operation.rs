//! What is noted: writes, reads, and the registers that they are about.

use std::time::Duration;

/// A moment of a history: the time since its beginning, by a clock that never goes back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// The moment at this time after the beginning.
    #[must_use]
    pub const fn after(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// The time since the beginning.
    #[must_use]
    pub const fn elapsed(self) -> Duration {
        self.0
    }
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was said to be kept.
    Acknowledged,
    /// Nobody said.
    Unknown,
    /// It was said not to be kept.
    Refused,
}

/// One write of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    /// Its place in the order of this register's writes, from 1.
    pub version: u64,
    /// What no other write of the register has. `None`: it deletes.
    pub value: Option<u64>,
    /// When it was sent, or before.
    pub began: Moment,
    /// When its answer had come, or was given up.
    pub ended: Moment,
    /// What became of it.
    pub fate: Fate,
}

/// One appearance of a register's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The value.
    pub value: u64,
    /// The version that it was shown under. `None`: none was shown.
    pub version: Option<u64>,
}

/// One look at a register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Who looked, or at which copy.
    pub reader: &'static str,
    /// When it was asked, or before.
    pub began: Moment,
    /// When the answer had come.
    pub ended: Moment,
    /// What was there: nothing, or the value. More than one is a fault of the store.
    pub seen: Vec<Seen>,
    /// Whether nothing was written any more: an older value is then lost, and no longer only late.
    pub last: bool,
}

/// Everything that was noted of one register, in any order. At first it is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Register {
    /// Its writes.
    pub writes: Vec<Write>,
    /// Its reads.
    pub reads: Vec<Read>,
}
