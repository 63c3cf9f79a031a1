//! A checked history: what many clients asked of a store at once, and whether its answers can be true.
//!
//! A *register* is one thing with a value, named by a key. Whoever writes it gives each write a *version*, which rises
//! by one from write to write, and a value that no other write has; what was deleted has the value `None`. Clients note
//! each write and each read with the moments at which it began and ended. Afterwards [`History::verdict`] says whether
//! one store that does one thing at a time could have answered so.
//!
//! | outcome of a write | may be found afterwards |
//! |---|---|
//! | acknowledged | must be found, until a later write is |
//! | unknown: no answer, or one that does not tell | may be found, once or not at all |
//! | refused | must never be found |
//!
//! A write whose outcome is unknown may be followed by others only once it can no longer take effect: its connection is
//! gone, and whoever held it.

mod checker;
mod operation;
mod verdict;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use checker::check;
pub use operation::{Fate, Moment, Read, Register, Seen, Write};
pub use verdict::{Verdict, Violation, Wrong};

/// What was asked and answered, noted from many tasks at once.
#[derive(Debug)]
pub struct History {
    began: Instant,
    registers: Mutex<BTreeMap<String, Register>>,
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

impl History {
    /// An empty history that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self { began: Instant::now(), registers: Mutex::new(BTreeMap::new()) }
    }

    /// This moment.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment::after(self.began.elapsed())
    }

    /// How long ago a moment was.
    #[must_use]
    pub fn since(&self, moment: Moment) -> Duration {
        self.began.elapsed().saturating_sub(moment.elapsed())
    }

    /// Notes a write that has ended.
    pub fn wrote(&self, key: &str, write: Write) {
        self.with(key, |register| register.writes.push(write));
    }

    /// Notes a read that has ended.
    pub fn read(&self, key: &str, read: Read) {
        self.with(key, |register| register.reads.push(read));
    }

    /// The keys that were written, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Judges everything that was noted so far.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::default();
        for (key, register) in self.lock().iter() {
            verdict.add(key, register, check(register));
        }
        verdict
    }

    fn with(&self, key: &str, note: impl FnOnce(&mut Register)) {
        let mut registers = self.lock();
        match registers.get_mut(key) {
            Some(register) => note(register),
            None => note(registers.entry(key.to_owned()).or_default()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Register>> {
        self.registers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_from_many_threads_is_judged_together() {
        let history = History::new();
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let history = &history;
                scope.spawn(move || {
                    let key = format!("key {thread}");
                    for version in 1..=10 {
                        let began = history.now();
                        let value = Some(thread * 100 + version);
                        let fate = Fate::Acknowledged;
                        history.wrote(&key, Write { version, value, began, ended: history.now(), fate });
                    }
                });
            }
        });
        let read = |value| Read {
            reader: "store",
            began: history.now(),
            ended: history.now(),
            seen: vec![Seen { value, version: None }],
            last: true,
        };
        for thread in 0..4 {
            history.read(&format!("key {thread}"), read(thread * 100 + 10));
        }
        assert_eq!(history.keys().len(), 4);
        let verdict = history.verdict();
        assert!(verdict.holds(), "{:?}", verdict.violations);
        assert_eq!((verdict.acknowledged, verdict.reads), (40, 4));
        history.read("key 2", read(201));
        assert_eq!(history.verdict().count(Wrong::Lost), 1);
    }
}
