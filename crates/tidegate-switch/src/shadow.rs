//! Comparing what both sides answer, for a sample of reads.

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tidegate_flags::{Side, Stage};

/// Differences that are kept; older ones make room.
pub const DIFFERENCES_MAX: usize = 100;

/// Bytes of a difference's description that are kept.
const WHAT_BYTES_MAX: usize = 200;

/// How many comparisons ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShadowCounts {
    /// Both sides answered the same.
    pub equal: u64,
    /// They did not.
    pub differing: u64,
    /// The other side did not answer.
    pub failed: u64,
}

/// A read that both sides answered differently, or that the other side did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What was read, in the caller's words, such as a function and a key. What was answered is not kept: it may be
    /// personal.
    pub what: String,
    /// Why the other side did not answer; `None`: it answered something else.
    pub failure: Option<String>,
}

/// Compares every n-th read on both sides. The request gets the answer of the side that rules, whatever the other says.
#[derive(Debug)]
pub struct Shadow {
    every: u64,
    reads: AtomicU64,
    equal: AtomicU64,
    differing: AtomicU64,
    failed: AtomicU64,
    differences: Mutex<VecDeque<Difference>>,
}

impl Shadow {
    /// Compares every `every`-th read, from the first; 0: none.
    #[must_use]
    pub fn every(every: u64) -> Shadow {
        Shadow {
            every,
            reads: AtomicU64::new(0),
            equal: AtomicU64::new(0),
            differing: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            differences: Mutex::default(),
        }
    }

    /// Reads on the side that the stage reads, and for a sample on the other side, too, if the stage keeps both.
    ///
    /// Both reads should see the same moment: use one REPEATABLE READ transaction where writes go on meanwhile. The
    /// second read takes its time out of the request's.
    ///
    /// # Errors
    /// That of the side that rules. A failure of the other side is counted.
    pub async fn read<T: PartialEq, E: Display>(
        &self,
        stage: Stage,
        what: impl FnOnce() -> String,
        mut read: impl AsyncFnMut(Side) -> Result<T, E>,
    ) -> Result<T, E> {
        let answer = read(stage.reads).await?;
        if stage.mirror.is_some() && self.is_due() {
            let other = read(stage.reads.other()).await;
            self.compare(what, &answer, other.as_ref());
        }
        Ok(answer)
    }

    /// Whether the next read is one to compare; each call counts as a read.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.every != 0 && self.reads.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.every)
    }

    /// Counts a comparison. Returns whether both sides answered the same.
    pub fn compare<T: PartialEq, E: Display>(
        &self,
        what: impl FnOnce() -> String,
        answer: &T,
        other: Result<&T, &E>,
    ) -> bool {
        let failure = match other {
            Ok(other) if other == answer => {
                self.equal.fetch_add(1, Ordering::Relaxed);
                return true;
            }
            Ok(_) => {
                self.differing.fetch_add(1, Ordering::Relaxed);
                None
            }
            Err(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                Some(cut(error.to_string()))
            }
        };
        let difference = Difference { what: cut(what()), failure };
        tracing::debug!(
            what = difference.what,
            failure = difference.failure,
            "both sides answer differently"
        );
        let mut kept = self.differences.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= DIFFERENCES_MAX {
            kept.pop_front();
        }
        kept.push_back(difference);
        false
    }

    /// How many comparisons ended how.
    #[must_use]
    pub fn counts(&self) -> ShadowCounts {
        ShadowCounts {
            equal: self.equal.load(Ordering::Relaxed),
            differing: self.differing.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    /// The last differences, oldest first, at most [`DIFFERENCES_MAX`].
    #[must_use]
    pub fn differences(&self) -> Vec<Difference> {
        self.differences.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(WHAT_BYTES_MAX));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> Stage {
        Stage { reads: Side::New, primary: Side::Old, mirror: Some(Side::New), lock_first: Side::Old }
    }

    #[tokio::test]
    async fn every_third_read_is_compared_and_the_side_that_rules_answers() {
        let shadow = Shadow::every(3);
        let mut asked = Vec::new();
        for number in 0..7 {
            let answer = shadow
                .read(
                    both(),
                    || format!("read {number}"),
                    async |side| {
                        asked.push(side);
                        Ok::<_, String>((side, number))
                    },
                )
                .await;
            assert_eq!(answer, Ok((Side::New, number)));
        }
        assert_eq!(asked.iter().filter(|side| **side == Side::Old).count(), 3);
        assert_eq!(shadow.counts(), ShadowCounts { equal: 0, differing: 3, failed: 0 });
        let what: Vec<String> = shadow.differences().into_iter().map(|difference| difference.what).collect();
        assert_eq!(what, ["read 0", "read 3", "read 6"]);
    }

    #[tokio::test]
    async fn the_other_side_is_not_asked_where_nobody_keeps_it() {
        let shadow = Shadow::every(1);
        for side in [Side::Old, Side::New] {
            let stage = Stage { reads: side, primary: side, mirror: None, lock_first: Side::Old };
            let answer = shadow.read(stage, String::new, async |side| Ok::<_, String>(side)).await;
            assert_eq!(answer, Ok(side));
        }
        assert_eq!(shadow.counts(), ShadowCounts::default());
    }

    #[tokio::test]
    async fn a_failure_of_the_other_side_is_counted_and_one_of_ours_returned() {
        let shadow = Shadow::every(1);
        let fail_on = async |failing: Side| {
            let read = async |side| if side == failing { Err("gone") } else { Ok(1) };
            shadow.read(both(), || "one".to_owned(), read).await
        };
        assert_eq!(fail_on(Side::Old).await, Ok(1));
        assert_eq!(fail_on(Side::New).await, Err("gone"));
        assert_eq!(shadow.counts(), ShadowCounts { failed: 1, ..ShadowCounts::default() });
        assert_eq!(shadow.differences()[0].failure.as_deref(), Some("gone"));
    }

    #[test]
    fn differences_make_room_and_are_cut() {
        let shadow = Shadow::every(1);
        for number in 0..=DIFFERENCES_MAX {
            let long = || format!("{number} {}", "é".repeat(WHAT_BYTES_MAX));
            assert!(!shadow.compare::<_, String>(long, &1, Ok(&2)));
        }
        let kept = shadow.differences();
        assert_eq!(kept.len(), DIFFERENCES_MAX);
        assert!(kept[0].what.starts_with("1 ") && kept[0].what.len() <= WHAT_BYTES_MAX);
        assert!(shadow.compare::<_, String>(String::new, &1, Ok(&1)));
        assert!(!Shadow::every(0).is_due());
    }
}
