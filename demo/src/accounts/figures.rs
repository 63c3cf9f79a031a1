//! What is counted and timed while the clients work.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use testkit::history::Fate;

use super::service::Reply;

/// A part of the demonstration, as far as answers are timed apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Before anything is migrated.
    Before,
    /// From the first command to the last.
    During,
    /// After the last.
    After,
}

/// Each part with its name.
const PARTS: [(Part, &str); 3] = [(Part::Before, "before"), (Part::During, "during"), (Part::After, "after")];

/// How long writes took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spread {
    /// Writes that were acknowledged.
    pub(crate) count: usize,
    /// Half of them took no longer.
    pub(crate) p50: Duration,
    /// All but one of a hundred took no longer.
    pub(crate) p99: Duration,
    /// None took longer.
    pub(crate) longest: Duration,
}

impl Spread {
    fn of(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        let at = |percent: usize| {
            let rank = (took.len() * percent).div_ceil(100).saturating_sub(1);
            took.get(rank).copied().unwrap_or_default()
        };
        Self { count: took.len(), p50: at(50), p99: at(99), longest: at(100) }
    }
}

/// What is counted and timed while the clients work.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    part: AtomicUsize,
    took: [Mutex<Vec<Duration>>; PARTS.len()],
    /// How long each part lasted.
    lasted: Mutex<[Duration; PARTS.len()]>,
    acknowledged: AtomicU64,
    refused: Mutex<BTreeMap<String, u64>>,
}

impl Figures {
    /// What comes now belongs to this part; the one before lasted so long.
    pub(crate) fn enter(&self, part: Part, lasted: Duration) {
        let before = self.part.swap(part as usize, Ordering::Relaxed);
        if let Some(known) = lock(&self.lasted).get_mut(before) {
            *known = lasted;
        }
    }

    /// The last part lasted so long.
    pub(crate) fn end(&self, lasted: Duration) {
        self.enter(Part::After, lasted);
    }

    /// Counts a write.
    pub(crate) fn count(&self, reply: &Reply, took: Duration) {
        match reply.fate() {
            Fate::Acknowledged => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
                if let Some(part) = self.took.get(self.part.load(Ordering::Relaxed)) {
                    lock(part).push(took);
                }
            }
            Fate::Refused => {
                let why = match reply {
                    Reply::Refused { status: 0, why, .. } => why.clone(),
                    Reply::Refused { status, why, .. } => format!("{status} {why}"),
                    _ => String::new(),
                };
                *lock(&self.refused).entry(why).or_default() += 1;
            }
            Fate::Unknown => {
                *lock(&self.refused).entry("outcome unknown".to_owned()).or_default() += 1;
            }
        }
    }

    /// Writes that were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Why writes were not acknowledged, the most frequent reason first.
    pub(crate) fn refused(&self) -> Vec<(String, u64)> {
        let mut reasons: Vec<_> =
            lock(&self.refused).iter().map(|(why, count)| (why.clone(), *count)).collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        reasons
    }

    /// Each part's name, how long it lasted and how long its writes took.
    pub(crate) fn parts(&self) -> Vec<(&'static str, Duration, Spread)> {
        let lasted = *lock(&self.lasted);
        let parts = PARTS.iter().zip(lasted).zip(&self.took);
        parts.map(|(((_, name), lasted), took)| (*name, lasted, Spread::of(lock(took).clone()))).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_names_the_times_that_so_many_did_not_exceed() {
        let took = (1..=200).rev().map(Duration::from_millis).collect();
        let expected = Spread {
            count: 200,
            p50: Duration::from_millis(100),
            p99: Duration::from_millis(198),
            longest: Duration::from_millis(200),
        };
        assert_eq!(Spread::of(took), expected);
        assert_eq!(Spread::of(Vec::new()), Spread::default());
    }

    #[test]
    fn writes_are_timed_in_the_part_that_they_end_in() {
        let figures = Figures::default();
        let done = Reply::Done(serde_json::Value::Null);
        figures.count(&done, Duration::from_millis(1));
        figures.enter(Part::During, Duration::from_secs(2));
        figures.count(&done, Duration::from_millis(5));
        figures.count(&Reply::Unknown, Duration::from_millis(9));
        let parts = figures.parts();
        assert_eq!(
            (parts[0].1, parts[0].2.count, parts[1].2.p50.as_millis()),
            (Duration::from_secs(2), 1, 5)
        );
        assert_eq!((figures.acknowledged(), figures.refused()), (2, vec![("outcome unknown".to_owned(), 1)]));
    }
}
