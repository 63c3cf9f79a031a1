//! The answer to a push, checked before any of it counts.

use serde_json::Value;
use thiserror::Error;

use super::queue::QueuedOperation;
use crate::push::{PushResult, PushStatus};

/// Why the answer to a push is refused. It reads as what is thrown; the queue is untouched.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PushResponseError {
    /// Not a list.
    #[error("transport returned invalid push response")]
    NotAList,
    /// Not one for each operation.
    #[error("transport returned mismatched push response size")]
    Size,
    /// An entry without an id, or with a status that is none.
    #[error("transport returned invalid push result")]
    Entry,
    /// An operation has no answer.
    #[error("transport push response missing result for opId {op_id}")]
    Missing {
        /// Which.
        op_id: String,
    },
}

/// Reads the answers for a batch, in the order of the batch, however they came.
///
/// # Errors
/// The first of [`PushResponseError`] that holds, in their order.
pub(super) fn check(
    batch: &[QueuedOperation],
    results: &Value,
) -> Result<Vec<PushResult>, PushResponseError> {
    let entries = results.as_array().ok_or(PushResponseError::NotAList)?;
    if entries.len() != batch.len() {
        return Err(PushResponseError::Size);
    }
    let answers: Vec<PushResult> =
        entries.iter().map(read).collect::<Option<_>>().ok_or(PushResponseError::Entry)?;
    let in_order =
        answers.iter().zip(batch).all(|(answer, queued)| answer.op_id == queued.operation.op_id.as_str());
    if in_order {
        return Ok(answers);
    }
    let by_id: std::collections::BTreeMap<&str, PushStatus> =
        answers.iter().map(|answer| (answer.op_id.as_str(), answer.status)).collect();
    let answer = |queued: &QueuedOperation| {
        let op_id = queued.operation.op_id.as_str();
        match by_id.get(op_id) {
            Some(status) => Ok(PushResult { op_id: op_id.to_owned(), status: *status }),
            None => Err(PushResponseError::Missing { op_id: op_id.to_owned() }),
        }
    };
    batch.iter().map(answer).collect()
}

fn read(entry: &Value) -> Option<PushResult> {
    let op_id = entry.get("opId")?.as_str().filter(|id| !crate::id::trimmed(id).is_empty())?;
    let status = PushStatus::parse(entry.get("status")?.as_str()?)?;
    Some(PushResult { op_id: op_id.to_owned(), status })
}
