//! One request of an application, from its beginning to its end.

use std::sync::Arc;

use tidegate_flags::Stage;

use crate::clock;
use crate::snapshot::Snapshot;
use crate::switch::Shared;

/// The lease was lost while a request was open: what it read may be from a side that others no longer keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this instance lost touch with the database while the request ran, and others may have gone on without it; ask again"
)]
pub struct Stale;

/// One request. It goes by one row from its beginning to its end, and keeps that row's epoch from being drained until
/// it is dropped.
#[derive(Debug)]
#[must_use = "a request that is dropped at once goes by nothing"]
pub struct Request {
    shared: Arc<Shared>,
    snapshot: Arc<Snapshot>,
    lapses: u64,
}

impl Request {
    pub(crate) fn new(shared: Arc<Shared>, snapshot: Arc<Snapshot>, lapses: u64) -> Request {
        Request { shared, snapshot, lapses }
    }

    /// Where it reads. A write goes by what [`crate::Switch::write`] reads inside the barrier, which may be newer.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.snapshot.stage()
    }

    /// The row's epoch; 0 where the environment rules.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.snapshot.epoch()
    }

    /// All of what it goes by.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The value of a column; `None`: the set has no such column.
    #[must_use]
    pub fn is_on(&self, column: &str) -> Option<bool> {
        self.snapshot.is_on(column)
    }

    /// Ends it, before its answer is sent. What it read may be sent only if this says so; what a transaction committed
    /// stands either way, since it went by the row inside the barrier.
    ///
    /// # Errors
    /// [`Stale`] where the lease was lost meanwhile, even if it is back: the answer must not be sent.
    pub fn finish(self) -> Result<(), Stale> {
        if self.shared.state().held_since(self.lapses, clock::now()) { Ok(()) } else { Err(Stale) }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if self.shared.state().release(self.snapshot.epoch()) {
            self.shared.beat_soon();
        }
    }
}
