//! The state of a client as it is exported: a documented JSON, which is also what is kept between two runs.

use serde::{Deserialize, Serialize};

use super::queue::{QueuedOperation, RejectedOperation};
use crate::container_clock::ContainerClock;
use crate::cursor::Cursor;
use crate::id::WriteId;
use crate::reconcile::ReconcileState;
use crate::replay::{ReplaySnapshot, ReplayedAcl, ReplayedLink};
use crate::write_ids::WriteIdMap;

/// Everything that a client knows. Two clients with equal exports do the same from there.
///
/// Reading it with serde checks types alone; a client takes it up with [`super::Client::hydrate`], which checks all of
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportedState {
    /// What has been replayed of the feed.
    pub replay_snapshot: ReplaySnapshot,
    /// How far it has come; null: it has read nothing yet.
    pub reconcile_state: Option<ReconcileState>,
    /// The last change in each container, by the bytes of their ids.
    pub container_clocks: Vec<ContainerClock>,
    /// What waits for the server, in order.
    pub pending_operations: Vec<QueuedOperation>,
    /// The number of the next local write.
    pub next_local_write_id: WriteId,
    /// What the server will not take, in the order of its answers; absent is none.
    #[serde(default)]
    pub rejected_operations: Vec<RejectedOperation>,
    /// The epoch of the server's feed that it has read; null or absent: not known.
    #[serde(default)]
    pub feed_epoch: Option<u16>,
}

/// What an application shows of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientSnapshot {
    /// Who has access to what.
    pub acl: Vec<ReplayedAcl>,
    /// What is below what.
    pub links: Vec<ReplayedLink>,
    /// How far it has read.
    pub cursor: Option<Cursor>,
    /// The last known write of each replica.
    pub last_reconciled_write_ids: WriteIdMap,
    /// The last change in each container.
    pub container_clocks: Vec<ContainerClock>,
    /// How many operations wait.
    pub pending_operations: usize,
    /// How many operations were rejected.
    pub rejected_operations: usize,
    /// The number of the next local write.
    pub next_local_write_id: WriteId,
}
