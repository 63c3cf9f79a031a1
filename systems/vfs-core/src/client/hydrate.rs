//! Reading an exported state: all of it is checked, in one order, before anything of it is taken up.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use thiserror::Error;

use super::envelope::{Envelope, EnvelopeFieldError};
use super::queue::{QueuedOperation, RejectedOperation};
use super::state::State;
use crate::container_clock::{ContainerClock, ContainerClocks};
use crate::cursor::Cursor;
use crate::id::{ClientId, ItemId, OpId, ReplicaId, WriteId, trimmed};
use crate::operation::{AccessLevel, Change, OpType, Operation, Principal, PrincipalType};
use crate::push::PushStatus;
use crate::reconcile::ReconcileState;
use crate::rematerialization::{MaterializedState, MaterializedStateError};
use crate::replay::{Replay, ReplaySnapshot, ReplaySnapshotError, ReplayedAcl, ReplayedLink};
use crate::write_ids::{WriteIdMap, WriteIdMapError};

/// Why a state cannot be taken up. The texts are part of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum StateError {
    #[error("{0}")]
    Says(String),
    #[error(transparent)]
    WriteIds(#[from] WriteIdMapError),
    #[error(transparent)]
    Replay(#[from] ReplaySnapshotError),
    #[error(transparent)]
    Materialized(#[from] MaterializedStateError),
}

fn says<T>(text: impl Into<String>) -> Result<T, StateError> {
    Err(StateError::Says(text.into()))
}

/// The clocks of a state whose containers are all different.
pub(super) fn clocks(state: &MaterializedState) -> ContainerClocks {
    let mut clocks = ContainerClocks::new();
    for clock in &state.container_clocks {
        clocks.observe(&clock.container_id, &clock.changed);
    }
    clocks
}

/// Reads an exported state for a client. The number of the next write is looked at first.
pub(super) fn read(state: &Value, client_id: &ClientId) -> Result<State, StateError> {
    let Some(fields) = state.as_object() else { return says("state must be a non-null object") };
    let Some(next) = fields.get("nextLocalWriteId").and_then(WriteId::from_value) else {
        return says("state.nextLocalWriteId must be a positive safe integer");
    };
    let Some(pending) = fields.get("pendingOperations").and_then(Value::as_array) else {
        return says("state.pendingOperations must be an array");
    };
    let Some(clocks) = fields.get("containerClocks").and_then(Value::as_array) else {
        return says("state.containerClocks must be an array");
    };
    let parts = materialized(fields, clocks)?;
    let reconciled = parts.reconcile_state.as_ref().map(|state| &state.cursor);
    if let (Some(reconciled), Some(replayed)) = (reconciled, &parts.replay_snapshot.cursor)
        && reconciled < replayed
    {
        return says("persisted reconcile cursor regressed persisted replay cursor");
    }
    if !parts.container_clocks.is_empty() {
        let Some(limit) = parts.cursor() else {
            return says("state.containerClocks requires persisted replay or reconcile cursor");
        };
        if let Some(index) = parts.container_clocks.iter().position(|clock| clock.changed > *limit) {
            return says(format!("state.containerClocks[{index}] is ahead of persisted sync cursor"));
        }
    }
    let boundaries = [reconciled, parts.replay_snapshot.cursor.as_ref()];
    let boundaries: Vec<&str> =
        boundaries.into_iter().flatten().map(|cursor| cursor.change_id.as_str()).collect();
    let pending = pending_operations(pending, client_id, &boundaries)?;
    let rejected = rejected_operations(fields.get("rejectedOperations"), client_id, &pending)?;
    let feed_epoch = feed_epoch(fields.get("feedEpoch"))?;
    let replay = Replay::from_snapshot(&parts.replay_snapshot)?;
    let known =
        parts.reconcile_state.as_ref().and_then(|state| state.last_reconciled_write_ids.get(client_id));
    let last = pending.last().map(|queued| queued.operation.write_id);
    let Some(next) = next_after(next, [known, last]) else {
        return says("state.nextLocalWriteId must be a positive safe integer");
    };
    let clocks = self::clocks(&parts);
    let reconcile = parts.reconcile_state;
    let (next_write_id, op_ids) = (next, BTreeSet::new());
    let mut state = State { replay, reconcile, clocks, pending, rejected, op_ids, next_write_id, feed_epoch };
    state.index();
    Ok(state)
}

/// A number that is later than all of those; `None`: there is none.
pub(super) fn next_after(next: WriteId, used: [Option<WriteId>; 2]) -> Option<WriteId> {
    let mut next = next;
    for used in used.into_iter().flatten() {
        next = next.max(used.next()?);
    }
    Some(next)
}

/// Reads what has been replayed, how far was reconciled, and the clocks. Whether they fit is not looked at.
pub(super) fn materialized(
    fields: &Map<String, Value>,
    clocks: &[Value],
) -> Result<MaterializedState, StateError> {
    let replay_snapshot = snapshot(fields.get("replaySnapshot"))?;
    let reconcile_state = reconcile_state(fields.get("reconcileState"))?;
    let container_clocks = container_clocks(clocks)?;
    Ok(MaterializedState { replay_snapshot, reconcile_state, container_clocks })
}

fn snapshot(value: Option<&Value>) -> Result<ReplaySnapshot, StateError> {
    let Some(fields) = value.and_then(Value::as_object) else {
        return says("state.replaySnapshot must be an object");
    };
    let Some(acl) = fields.get("acl").and_then(Value::as_array) else {
        return says("state.replaySnapshot.acl must be an array");
    };
    let Some(links) = fields.get("links").and_then(Value::as_array) else {
        return says("state.replaySnapshot.links must be an array");
    };
    let mut read = ReplaySnapshot::default();
    for (index, entry) in acl.iter().enumerate() {
        match replayed_acl(entry) {
            Some(entry) => read.acl.push(entry),
            None => return says(format!("state.replaySnapshot.acl[{index}] is invalid")),
        }
    }
    for (index, entry) in links.iter().enumerate() {
        match (text(entry, "parentId"), text(entry, "childId")) {
            (Some(parent_id), Some(child_id)) => read.links.push(ReplayedLink { parent_id, child_id }),
            _ => return says(format!("state.replaySnapshot.links[{index}] is invalid")),
        }
    }
    match fields.get("cursor") {
        None | Some(Value::Null) => {}
        Some(value) => match cursor(value) {
            Some(cursor) => read.cursor = Some(cursor),
            None => return says("transport returned invalid persisted replay cursor"),
        },
    }
    Ok(read)
}

fn replayed_acl(entry: &Value) -> Option<ReplayedAcl> {
    Some(ReplayedAcl {
        item_id: text(entry, "itemId")?,
        principal_type: PrincipalType::parse(entry.get("principalType")?.as_str()?)?,
        principal_id: text(entry, "principalId")?,
        access_level: AccessLevel::parse(entry.get("accessLevel")?.as_str()?)?,
    })
}

fn reconcile_state(value: Option<&Value>) -> Result<Option<ReconcileState>, StateError> {
    let value = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    let Some(cursor) = value.get("cursor").and_then(cursor) else {
        return says("transport returned invalid persisted reconcile cursor");
    };
    let last_reconciled_write_ids = WriteIdMap::parse_field(value.get("lastReconciledWriteIds"))?;
    Ok(Some(ReconcileState { cursor, last_reconciled_write_ids }))
}

fn container_clocks(values: &[Value]) -> Result<Vec<ContainerClock>, StateError> {
    let mut seen = BTreeSet::new();
    let mut clocks = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let (Some(container_id), Some(changed)) = (text(value, "containerId"), cursor(value)) else {
            return says(format!("state.containerClocks[{index}] is invalid"));
        };
        if !seen.insert(container_id.clone()) {
            return says(format!("state.containerClocks has duplicate containerId {container_id}"));
        }
        clocks.push(ContainerClock { container_id, changed });
    }
    Ok(clocks)
}

fn pending_operations(
    values: &[Value],
    client_id: &ClientId,
    boundaries: &[&str],
) -> Result<Vec<QueuedOperation>, StateError> {
    let mut pending: Vec<QueuedOperation> = Vec::with_capacity(values.len());
    let mut seen = BTreeSet::new();
    for (index, value) in values.iter().enumerate() {
        let queued = match queued(value, client_id) {
            Ok(queued) => queued,
            Err(what) => return says(format!("state.pendingOperations[{index}]{what}")),
        };
        let op_id = &queued.operation.op_id;
        if !seen.insert(op_id.clone()) {
            return says(format!("state.pendingOperations has duplicate opId {op_id}"));
        }
        if pending.last().is_some_and(|last| last.operation.write_id >= queued.operation.write_id) {
            return says("state.pendingOperations writeIds must be strictly increasing");
        }
        if boundaries.contains(&op_id.as_str()) {
            return says(format!(
                "state.pendingOperations contains opId {op_id} that collides with persisted cursor boundary"
            ));
        }
        pending.push(queued);
    }
    Ok(pending)
}

/// Reads a queued operation; what is wrong with it goes on from its place in the text.
fn queued(value: &Value, client_id: &ClientId) -> Result<QueuedOperation, &'static str> {
    const INVALID: &str = " is invalid";
    let fields = value.as_object().ok_or(INVALID)?;
    let op_type = fields.get("opType").and_then(Value::as_str).and_then(OpType::parse);
    let op_type = op_type.ok_or(".opType is invalid")?;
    let op_id = OpId::from_value(fields.get("opId")).ok_or(INVALID)?;
    let item_id = ItemId::from_value(fields.get("itemId")).ok_or(INVALID)?;
    let replica_id = fields.get("replicaId").and_then(Value::as_str).ok_or(INVALID)?;
    let occurred_at = fields.get("occurredAt").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let occurred_at = occurred_at.ok_or(INVALID)?;
    let replica_id = ReplicaId::parse(replica_id).ok().filter(|replica_id| replica_id == client_id);
    let replica_id = replica_id.ok_or(" has replicaId that does not match clientId")?;
    let write_id = fields.get("writeId").and_then(WriteId::from_value);
    let write_id = write_id.ok_or(".writeId must be a positive safe integer")?;
    let change = change(fields, op_type, &item_id)?;
    let envelope = Envelope::read(fields).map_err(|error| match error {
        EnvelopeFieldError::Payload => " has invalid encryptedPayload",
        EnvelopeFieldError::KeyEpoch => ".keyEpoch must be a positive safe integer",
    })?;
    let operation = Operation { op_id, item_id, replica_id, write_id, occurred_at, change };
    Ok(QueuedOperation { operation, envelope })
}

fn change(fields: &Map<String, Value>, op_type: OpType, item_id: &ItemId) -> Result<Change, &'static str> {
    if op_type.is_acl() {
        let kind = fields.get("principalType").and_then(Value::as_str).and_then(PrincipalType::parse);
        let id = crate::id::PrincipalId::from_value(fields.get("principalId"));
        let (Some(kind), Some(id)) = (kind, id) else { return Err(" is missing acl principal fields") };
        let principal = Principal { kind, id };
        if op_type == OpType::AclRemove {
            return Ok(Change::AclRemove { principal });
        }
        let level = fields.get("accessLevel").and_then(Value::as_str).and_then(AccessLevel::parse);
        let level = level.ok_or(" is missing acl accessLevel")?;
        return Ok(Change::AclAdd { principal, level });
    }
    let (Some(parent_id), Some(child_id)) =
        (ItemId::from_value(fields.get("parentId")), ItemId::from_value(fields.get("childId")))
    else {
        return Err(" is missing link fields");
    };
    if child_id != *item_id {
        return Err(" has link childId that does not match itemId");
    }
    if parent_id == *item_id {
        return Err(" is invalid");
    }
    Ok(match op_type {
        OpType::LinkRemove => Change::LinkRemove { parent_id },
        _ => Change::LinkAdd { parent_id },
    })
}

fn rejected_operations(
    value: Option<&Value>,
    client_id: &ClientId,
    pending: &[QueuedOperation],
) -> Result<Vec<RejectedOperation>, StateError> {
    let values = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(value) => value.as_array(),
    };
    let Some(values) = values else { return says("state.rejectedOperations must be an array") };
    let mut seen: BTreeSet<OpId> = pending.iter().map(|queued| queued.operation.op_id.clone()).collect();
    let mut rejected = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let status = value.get("status").and_then(Value::as_str).and_then(PushStatus::parse);
        let operation = value.get("operation").and_then(|value| queued(value, client_id).ok());
        let (Some(operation), Some(status)) = (operation, status) else {
            return says(format!("state.rejectedOperations[{index}] is invalid"));
        };
        if !seen.insert(operation.operation.op_id.clone()) {
            let op_id = &operation.operation.op_id;
            return says(format!("state.rejectedOperations has duplicate opId {op_id}"));
        }
        rejected.push(RejectedOperation { operation, status });
    }
    Ok(rejected)
}

fn feed_epoch(value: Option<&Value>) -> Result<Option<u16>, StateError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().and_then(|epoch| u16::try_from(epoch).ok()) {
            Some(epoch) if epoch > 0 => Ok(Some(epoch)),
            _ => says("state.feedEpoch must be a whole number from 1 to 65535"),
        },
    }
}

/// A cursor as JSON: its two fields, whatever else is there.
fn cursor(value: &Value) -> Option<Cursor> {
    let changed_at = value.get("changedAt")?.as_str()?.parse().ok()?;
    Cursor::new(changed_at, value.get("changeId")?.as_str()?)
}

fn text(value: &Value, name: &str) -> Option<String> {
    let text = trimmed(value.get(name)?.as_str()?);
    (!text.is_empty()).then(|| text.to_owned())
}
