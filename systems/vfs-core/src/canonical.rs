//! The order of a list of operations: strictly by time, then by the bytes of their ids.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use thiserror::Error;

use crate::id::{OpId, ReplicaId, WriteId};
use crate::operation::Operation;
use crate::timestamp::Timestamp;

/// Why a list is not in order. The first operation that is wrong is told, and of it the first of these, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OrderError {
    /// It is no operation.
    #[error("CRDT operation {index} is invalid")]
    InvalidOperation {
        /// Which, from 0.
        index: usize,
    },
    /// Its id was there before.
    #[error("CRDT operation {index} repeats opId {op_id}")]
    DuplicateOpId {
        /// Which, from 0.
        index: usize,
        /// The id.
        op_id: OpId,
    },
    /// Its replica wrote with this number, or a later one, before.
    #[error("CRDT operation {index} has non-monotonic writeId for replica {replica_id}")]
    NonMonotonicReplicaWriteId {
        /// Which, from 0.
        index: usize,
        /// Whose.
        replica_id: ReplicaId,
    },
    /// It is not after the one before.
    #[error("CRDT operation {index} violates feed ordering")]
    OutOfOrderFeed {
        /// Which, from 0.
        index: usize,
    },
}

impl OrderError {
    /// The code by which it is told apart.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidOperation { .. } => "invalidOperation",
            Self::DuplicateOpId { .. } => "duplicateOpId",
            Self::NonMonotonicReplicaWriteId { .. } => "nonMonotonicReplicaWriteId",
            Self::OutOfOrderFeed { .. } => "outOfOrderFeed",
        }
    }
}

/// What has been seen of a list so far.
#[derive(Default)]
struct Seen {
    op_ids: BTreeSet<OpId>,
    write_ids: BTreeMap<ReplicaId, WriteId>,
    last: Option<(Timestamp, OpId)>,
}

impl Seen {
    fn next(&mut self, index: usize, operation: &Operation) -> Result<(), OrderError> {
        if !self.op_ids.insert(operation.op_id.clone()) {
            return Err(OrderError::DuplicateOpId { index, op_id: operation.op_id.clone() });
        }
        let replica_id = &operation.replica_id;
        let before = self.write_ids.insert(replica_id.clone(), operation.write_id);
        if before.is_some_and(|before| before >= operation.write_id) {
            return Err(OrderError::NonMonotonicReplicaWriteId { index, replica_id: replica_id.clone() });
        }
        let place = (operation.occurred_at, operation.op_id.clone());
        if self.last.as_ref().is_some_and(|last| *last >= place) {
            return Err(OrderError::OutOfOrderFeed { index });
        }
        self.last = Some(place);
        Ok(())
    }
}

/// Checks the order of operations.
///
/// # Errors
/// The first that is wrong.
pub fn check(operations: &[Operation]) -> Result<(), OrderError> {
    let mut seen = Seen::default();
    operations.iter().enumerate().try_for_each(|(index, operation)| seen.next(index, operation))
}

/// Reads operations, and checks their order.
///
/// # Errors
/// The first that is wrong, which may be that it is no operation.
pub fn check_values(values: &[Value]) -> Result<Vec<Operation>, OrderError> {
    let mut seen = Seen::default();
    let mut operations = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let operation = Operation::parse(value).map_err(|_| OrderError::InvalidOperation { index })?;
        seen.next(index, &operation)?;
        operations.push(operation);
    }
    Ok(operations)
}
