//! Beginning anew: what a client takes up when what it has not read is gone.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::container_clock::ContainerClock;
use crate::cursor::Cursor;
use crate::reconcile::ReconcileState;
use crate::replay::ReplaySnapshot;

/// The code of the answer to a cursor behind the horizon; its status is 409.
pub const CODE: &str = "crdt_rematerialization_required";

/// The text of that answer.
pub const TEXT: &str = "CRDT cursor is older than retained history; re-materialization required";

/// A client's state, built from the feed up to one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MaterializedState {
    /// What stands, and up to where that was read.
    pub replay_snapshot: ReplaySnapshot,
    /// How far the client has come; null: it is not known.
    pub reconcile_state: Option<ReconcileState>,
    /// The last change in each container.
    pub container_clocks: Vec<ContainerClock>,
}

/// Why such a state cannot be taken up. The texts are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MaterializedStateError {
    /// The client would have come less far than the state was built to.
    #[error("rematerialized reconcile cursor regressed rematerialized replay cursor")]
    ReconcileRegressed,
    /// Containers changed, but nothing was read.
    #[error("rematerialized container clocks require replay or reconcile cursor")]
    ClocksWithoutCursor,
    /// A container changed after everything that was read. One at that place is not.
    #[error("rematerialized containerClocks[{index}] is ahead of rematerialized cursor")]
    ClockAhead {
        /// Which, from 0.
        index: usize,
    },
}

impl MaterializedState {
    /// Where whoever takes it up reads on: at the reconciled cursor if there is one, else at the replayed one.
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.reconcile_state.as_ref().map(|state| &state.cursor).or(self.replay_snapshot.cursor.as_ref())
    }

    /// Checks that its parts fit together.
    ///
    /// # Errors
    /// The first of [`MaterializedStateError`], in its order, that holds.
    pub fn check(&self) -> Result<(), MaterializedStateError> {
        if let (Some(state), Some(replayed)) = (&self.reconcile_state, &self.replay_snapshot.cursor)
            && state.cursor < *replayed
        {
            return Err(MaterializedStateError::ReconcileRegressed);
        }
        if self.container_clocks.is_empty() {
            return Ok(());
        }
        let cursor = self.cursor().ok_or(MaterializedStateError::ClocksWithoutCursor)?;
        match self.container_clocks.iter().position(|clock| clock.changed > *cursor) {
            Some(index) => Err(MaterializedStateError::ClockAhead { index }),
            None => Ok(()),
        }
    }
}
