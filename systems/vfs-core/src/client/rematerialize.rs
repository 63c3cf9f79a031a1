//! Starting over from what the server holds now, where the feed does not reach back far enough, or was restored.

use std::fmt;

use serde_json::{Map, Value, json};

use super::hydrate::{self, StateError};
use super::state::State;
use crate::cursor::Cursor;
use crate::id::ClientId;
use crate::rematerialization::{MaterializedState, TEXT};
use crate::replay::{Replay, ReplaySnapshot};

/// How often one cycle starts over by itself, unless the options say otherwise.
pub const REMATERIALIZATIONS_DEFAULT: u32 = 1;

/// The server has forgotten what comes after the client's cursor. An observer is told of it before anything is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RematerializationRequired {
    /// The cursor that was asked with, as the client had it.
    pub requested: Option<Cursor>,
    /// The oldest place that the server still knows, if it says so.
    pub oldest_available: Option<Cursor>,
}

impl RematerializationRequired {
    /// `stage:code`, by which it is counted.
    pub const SIGNATURE: &'static str = "pull:pullRematerializationRequired";

    /// What an observer is told.
    pub const MESSAGE: &'static str = "pull requires re-materialization from canonical state";

    /// What whoever sees it should do.
    pub const NEXT_ACTION: &'static str =
        "nothing, where the client goes on by itself; else re-materialize: the queue is kept";

    /// What it is about, by name.
    #[must_use]
    pub fn details(&self) -> Map<String, Value> {
        let details =
            json!({ "requestedCursor": self.requested, "oldestAvailableCursor": self.oldest_available });
        match details {
            Value::Object(details) => details,
            _ => Map::new(),
        }
    }
}

impl fmt::Display for RematerializationRequired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TEXT)
    }
}

impl std::error::Error for RematerializationRequired {}

/// What is taken instead of what was replayed.
pub(super) struct Canonical {
    state: MaterializedState,
    replay: Replay,
}

/// Reads what the server, or the application, says the state is. Nothing at all is the empty state.
pub(super) fn read(value: Option<&Value>) -> Result<Canonical, StateError> {
    let says = |text: &str| Err(StateError::Says(text.to_owned()));
    let Some(value) = value else {
        let state = MaterializedState {
            replay_snapshot: ReplaySnapshot::default(),
            reconcile_state: None,
            container_clocks: Vec::new(),
        };
        return Ok(Canonical { state, replay: Replay::new() });
    };
    let Some(fields) = value.as_object() else { return says("state must be a non-null object") };
    let Some(clocks) = fields.get("containerClocks").and_then(Value::as_array) else {
        return says("state.containerClocks must be an array");
    };
    let state = hydrate::materialized(fields, clocks)?;
    state.check()?;
    let replay = Replay::from_snapshot(&state.replay_snapshot)?;
    Ok(Canonical { state, replay })
}

impl State {
    /// The state with everything that was read replaced; what waits and what was rejected is kept, and no number of a
    /// write is used twice. `None`: there is no number for the next write.
    pub(super) fn rematerialized(&self, canonical: Canonical, client_id: &ClientId) -> Option<Self> {
        let known = canonical.state.reconcile_state.as_ref();
        let known = known.and_then(|state| state.last_reconciled_write_ids.get(client_id));
        let last = self.pending.last().map(|queued| queued.operation.write_id);
        let next_write_id = hydrate::next_after(self.next_write_id, [known, last])?;
        Some(Self {
            clocks: hydrate::clocks(&canonical.state),
            replay: canonical.replay,
            reconcile: canonical.state.reconcile_state,
            pending: self.pending.clone(),
            rejected: self.rejected.clone(),
            op_ids: self.op_ids.clone(),
            next_write_id,
            feed_epoch: self.feed_epoch,
        })
    }
}
