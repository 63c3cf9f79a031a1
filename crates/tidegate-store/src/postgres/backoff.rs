//! How long to wait before the next attempt.

use std::time::Duration;

/// Waits drawn evenly from zero to a bound that doubles.
#[derive(Debug)]
pub(super) struct Backoff {
    bound: Duration,
    max: Duration,
    state: u64,
}

impl Backoff {
    pub(super) fn new(base: Duration, max: Duration, seed: u64) -> Backoff {
        Backoff { bound: base.min(max), max, state: seed }
    }

    pub(super) fn next_wait(&mut self) -> Duration {
        let bound = self.bound;
        self.bound = bound.saturating_mul(2).min(self.max);
        // splitmix64: every seed, zero too, gives a sequence of its own.
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let share = (z >> 11) as f64 / (1_u64 << 53) as f64;
        bound.mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::Duration;

    fn waits(seed: u64) -> Vec<Duration> {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(100), seed);
        (0..64).map(|_| backoff.next_wait()).collect()
    }

    #[test]
    fn waits_stay_below_a_bound_that_doubles_up_to_the_maximum() {
        for seed in 0..200 {
            let mut bound = Duration::from_millis(10);
            for wait in waits(seed) {
                assert!(wait < bound, "{wait:?} {bound:?}");
                bound = (bound * 2).min(Duration::from_millis(100));
            }
        }
    }

    #[test]
    fn waits_fill_the_whole_range_and_follow_the_seed() {
        let late = waits(7).split_off(8);
        assert!(late.iter().any(|wait| *wait < Duration::from_millis(20)));
        assert!(late.iter().any(|wait| *wait > Duration::from_millis(80)));
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }
}
