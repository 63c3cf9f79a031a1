//! Times in buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, in milliseconds; what is longer is in one more.
pub const WAIT_BUCKETS_MS: [u64; 11] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500];

/// Times in buckets, as they stood at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Histogram {
    /// How many fell into each bucket of [`WAIT_BUCKETS_MS`], and how many were longer.
    pub counts: [u64; WAIT_BUCKETS_MS.len() + 1],
    /// All of them together, in microseconds.
    pub sum_us: u64,
}

impl Histogram {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// A histogram that many write to.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    counts: [AtomicU64; WAIT_BUCKETS_MS.len() + 1],
    sum_us: AtomicU64,
}

impl Recorder {
    pub(crate) fn record(&self, span: Duration) {
        let at = WAIT_BUCKETS_MS.iter().position(|bound| span <= Duration::from_millis(*bound));
        if let Some(count) = self.counts.get(at.unwrap_or(WAIT_BUCKETS_MS.len())) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let us = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Histogram {
        let mut histogram = Histogram { sum_us: self.sum_us.load(Ordering::Relaxed), ..Histogram::default() };
        for (count, recorded) in histogram.counts.iter_mut().zip(&self.counts) {
            *count = recorded.load(Ordering::Relaxed);
        }
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_the_first_bucket_that_holds_it() {
        let recorder = Recorder::default();
        for us in [0, 1000, 1001, 2_500_000, 2_500_001] {
            recorder.record(Duration::from_micros(us));
        }
        let histogram = recorder.read();
        assert_eq!(histogram.counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!((histogram.count(), histogram.sum_us), (5, 5_002_002));
    }
}
