//! How fast a backfill goes: how many rows a chunk has, how many workers there are, and what was turned meanwhile.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tidegate_runbook::Backfill;

use crate::knobs::{Knobs, WORKERS_MAX};

/// Rows of the first chunk.
const ROWS_FIRST: u32 = 1_000;

/// While slowed, one chunk is begun in this time.
const TRICKLE_EVERY: Duration = Duration::from_secs(1);

/// The pace, as all workers see it.
#[derive(Debug)]
pub(super) struct Pace {
    workers: u32,
    target: Duration,
    least: u32,
    most: u32,
    rows: Cell<u32>,
    written: Cell<u64>,
    begun: Instant,
    trickled: Cell<Option<Instant>>,
}

impl Pace {
    pub(super) fn new(backfill: &Backfill, knobs: Knobs) -> Self {
        let (least, most) = backfill.rows;
        let most = knobs.rows_max.unwrap_or(most);
        let least = least.min(most);
        Self {
            workers: knobs.workers.unwrap_or(backfill.workers).clamp(1, WORKERS_MAX),
            target: knobs.target.unwrap_or(backfill.target),
            least,
            most,
            rows: Cell::new(ROWS_FIRST.clamp(least, most)),
            written: Cell::new(0),
            begun: Instant::now(),
            trickled: Cell::new(None),
        }
    }

    pub(super) fn workers(&self) -> u32 {
        self.workers
    }

    /// Rows of the next chunk; the least while slowed.
    pub(super) fn rows(&self, slowed: bool) -> u32 {
        if slowed { self.least } else { self.rows.get() }
    }

    /// A chunk took this long: the next one's size follows, at most four times as large and at least half.
    pub(super) fn took(&self, took: Duration, written: u64) {
        self.written.set(self.written.get().saturating_add(written));
        let ratio = (self.target.as_secs_f64() / took.as_secs_f64().max(1e-6)).clamp(0.5, 4.0);
        let rows = f64::from(self.rows.get()) * ratio;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to the bounds, which are u32"
        )]
        self.rows.set(rows.clamp(f64::from(self.least), f64::from(self.most)) as u32);
    }

    /// A chunk took longer than it may: the next ones are half as large.
    pub(super) fn was_too_long(&self) {
        self.rows.set((self.rows.get() / 2).max(self.least));
    }

    /// Whether a worker may begin a chunk although the copy is slowed.
    pub(super) fn may_trickle(&self, worker: u32) -> bool {
        let due = self.trickled.get().is_none_or(|last| last.elapsed() >= TRICKLE_EVERY);
        let may = worker == 0 && due;
        if may {
            self.trickled.set(Some(Instant::now()));
        }
        may
    }

    /// Rows written by this attempt.
    pub(super) fn written(&self) -> u64 {
        self.written.get()
    }

    /// Rows a second, over this attempt.
    pub(super) fn rate(&self) -> u64 {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        self.written.get().saturating_mul(1000) / millis
    }
}
