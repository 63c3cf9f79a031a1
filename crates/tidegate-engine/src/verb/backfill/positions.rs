//! Where the primary was, and when: how far a standby is behind that says nothing of it itself.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Positions that are kept. The oldest ones count, so that new ones are left out where there is no room.
const KEPT_MAX: usize = 4_096;

/// Positions of the primary's log, each with the moment at which it was there.
#[derive(Debug, Default)]
pub(super) struct Positions(VecDeque<(Instant, i64)>);

impl Positions {
    /// Notes where the primary is, and forgets what every standby has replayed.
    pub(super) fn note(&mut self, now: Instant, at: i64, replayed_by_all: i64) {
        while self.0.front().is_some_and(|(_, known)| *known <= replayed_by_all) {
            self.0.pop_front();
        }
        if self.0.len() < KEPT_MAX && self.0.back().is_none_or(|(_, known)| *known < at) {
            self.0.push_back((now, at));
        }
    }

    /// How old the oldest position is that a standby has not replayed.
    pub(super) fn age(&self, now: Instant, replayed: i64) -> Duration {
        let missing = self.0.iter().find(|(_, at)| *at > replayed);
        missing.map_or(Duration::ZERO, |(noted, _)| now.saturating_duration_since(*noted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_is_as_far_behind_as_the_oldest_position_that_it_misses_is_old() {
        let mut positions = Positions::default();
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        assert_eq!(positions.age(began, 0), Duration::ZERO);
        for (seconds, place) in [(0, 10), (1, 20), (2, 20), (3, 30)] {
            positions.note(at(seconds), place, 0);
        }
        assert_eq!(positions.age(at(5), 5), Duration::from_secs(5));
        assert_eq!(positions.age(at(5), 10), Duration::from_secs(4));
        assert_eq!(positions.age(at(5), 29), Duration::from_secs(2));
        assert_eq!(positions.age(at(5), 30), Duration::ZERO);
        positions.note(at(6), 40, 20);
        assert_eq!(positions.age(at(6), 20), Duration::from_secs(3), "what all have replayed is forgotten");
        assert_eq!(positions.0.len(), 2);
    }

    #[test]
    fn the_oldest_positions_are_kept() {
        let mut positions = Positions::default();
        let began = Instant::now();
        for place in 1..=10_000 {
            positions.note(began, place, 0);
        }
        assert_eq!((positions.0.len(), positions.0.front().map(|(_, at)| *at)), (KEPT_MAX, Some(1)));
    }
}
