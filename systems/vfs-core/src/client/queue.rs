//! The operations that wait for the server, and those that it rejected.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::envelope::Envelope;
use crate::cursor::Cursor;
use crate::id::WriteId;
use crate::operation::{InvalidOperation, Operation};
use crate::push::{PushResult, PushStatus};
use crate::timestamp::Timestamp;

/// Operations that wait or were rejected, at most.
pub const QUEUE_MAX: usize = 1_000_000;

/// An operation that waits. As JSON it is the operation, and what goes along encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct QueuedOperation {
    /// What is to be pushed.
    pub operation: Operation,
    /// What goes along encrypted.
    pub envelope: Envelope,
}

impl TryFrom<Value> for QueuedOperation {
    type Error = InvalidOperation;

    fn try_from(value: Value) -> Result<Self, InvalidOperation> {
        let operation = Operation::parse(&value)?;
        let fields = value.as_object().ok_or(InvalidOperation::NotAnObject)?;
        let envelope = Envelope::read(fields).map_err(|_| InvalidOperation::NotAnObject)?;
        Ok(Self { operation, envelope })
    }
}

impl From<QueuedOperation> for Value {
    fn from(queued: QueuedOperation) -> Self {
        let mut value = Self::from(queued.operation);
        if let Some(fields) = value.as_object_mut() {
            queued.envelope.write(fields);
        }
        value
    }
}

/// An operation that the server will not take. It waits for somebody to undo it or to try it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectedOperation {
    /// As it was pushed.
    pub operation: QueuedOperation,
    /// What the server answered.
    pub status: PushStatus,
}

/// Lifts times over a cursor, so that each is later than the one before and all are later than the cursor.
///
/// A time that is not later than the floor becomes the floor and one millisecond. Without a cursor nothing changes.
pub(super) fn lift(cursor: Option<&Cursor>, queue: &mut [QueuedOperation]) {
    let Some(cursor) = cursor else { return };
    let mut floor = cursor.changed_at;
    for queued in queue {
        floor = lifted(floor, queued.operation.occurred_at);
        queued.operation.occurred_at = floor;
    }
}

fn lifted(floor: Timestamp, occurred_at: Timestamp) -> Timestamp {
    if occurred_at > floor { occurred_at } else { floor.plus_millisecond(1) }
}

/// Numbers a queue anew, one after the other from `first`, and lifts its times. Order and ids stay.
///
/// The number after the last; `None`: they do not suffice, and nothing has changed.
pub(super) fn rebase(
    cursor: Option<&Cursor>,
    first: WriteId,
    queue: &mut [QueuedOperation],
) -> Option<WriteId> {
    let count = u64::try_from(queue.len()).ok()?;
    let after = WriteId::new(first.get().checked_add(count)?).ok()?;
    let mut next = first;
    for queued in &mut *queue {
        queued.operation.write_id = next;
        next = next.next()?;
    }
    lift(cursor, queue);
    Some(after)
}

/// What becomes of a pushed batch.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub(super) pushed: usize,
    pub(super) rejected: Vec<PushResult>,
    pub(super) has_stale: bool,
}

/// Takes the answers for a batch, the first operations of the queue: what is settled leaves it, what is invalid goes to
/// the rejected ones, what is stale stays, with the time that it was pushed with.
pub(super) fn settle(
    pending: &mut Vec<QueuedOperation>,
    rejected: &mut Vec<RejectedOperation>,
    batch: Vec<QueuedOperation>,
    statuses: &[PushStatus],
) -> Settled {
    let mut settled = Settled::default();
    let mut stale = Vec::new();
    let rest = pending.split_off(batch.len().min(pending.len()));
    for (queued, status) in batch.into_iter().zip(statuses) {
        match status {
            PushStatus::Applied | PushStatus::AlreadyApplied | PushStatus::OutdatedOp => settled.pushed += 1,
            PushStatus::InvalidOp => {
                let op_id = queued.operation.op_id.to_string();
                settled.rejected.push(PushResult { op_id, status: *status });
                rejected.push(RejectedOperation { operation: queued, status: *status });
            }
            PushStatus::StaleWriteId => stale.push(queued),
        }
    }
    settled.has_stale = !stale.is_empty();
    *pending = stale;
    pending.extend(rest);
    settled
}
