//! Pushing: what a client sends, and what becomes of each operation.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::id::{ClientId, trimmed};
use crate::operation::{InvalidOperation, Operation, word};

/// Operations that one push may carry.
pub const OPERATIONS_MAX: usize = 500;

word! {
    /// What became of one pushed operation.
    PushStatus {
        /// It is in the feed.
        Applied = "applied",
        /// The user has pushed an operation with this id before.
        AlreadyApplied = "alreadyApplied",
        /// A write of this replica with this number or a later one is known.
        StaleWriteId = "staleWriteId",
        /// It lost against a later one.
        OutdatedOp = "outdatedOp",
        /// It is no operation, or on an item that is not the caller's.
        InvalidOp = "invalidOp",
    }
}

impl PushStatus {
    /// Whether the client need not send it again.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Applied | Self::AlreadyApplied | Self::OutdatedOp)
    }
}

/// The answer for one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushResult {
    /// The id that was sent, or `invalid-<index>` where none was.
    pub op_id: String,
    /// What became of it.
    pub status: PushStatus,
}

/// The answer to a push, in the order of its operations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushReply {
    /// Who pushed.
    pub client_id: ClientId,
    /// One for each operation.
    pub results: Vec<PushResult>,
}

/// One operation as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// A valid one.
    Valid(Operation),
    /// Another value.
    Invalid {
        /// What its answer names it by: the id that was sent, or `invalid-<index>`.
        op_id: String,
        /// What is wrong with it.
        why: InvalidOperation,
    },
}

impl Pushed {
    /// What its answer names it by.
    #[must_use]
    pub fn op_id(&self) -> &str {
        match self {
            Self::Valid(operation) => operation.op_id.as_str(),
            Self::Invalid { op_id, .. } => op_id,
        }
    }

    /// Its answer.
    #[must_use]
    pub fn result(&self, status: PushStatus) -> PushResult {
        PushResult { op_id: self.op_id().to_owned(), status }
    }
}

/// A push, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushRequest {
    /// Who pushes.
    pub client_id: ClientId,
    /// At most [`OPERATIONS_MAX`].
    pub operations: Vec<Pushed>,
}

/// Why a push is refused as a whole. The texts are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PushRequestError {
    /// Not an object.
    #[error("clientId and operations are required")]
    NotAnObject,
    /// Not a client's id.
    #[error("clientId must be non-empty, <=128 chars, and must not contain \":\"")]
    ClientId,
    /// Not an array.
    #[error("operations must be an array")]
    NotAnArray,
    /// More than [`OPERATIONS_MAX`].
    #[error("operations exceeds max entries (500)")]
    TooMany,
}

impl PushRequest {
    /// Reads the body of a push. An invalid operation is no error: it gets its answer in its place.
    ///
    /// # Errors
    /// What is wrong with the whole first.
    pub fn parse(body: &Value) -> Result<Self, PushRequestError> {
        let fields = body.as_object().ok_or(PushRequestError::NotAnObject)?;
        let client_id = ClientId::from_value(fields.get("clientId")).ok_or(PushRequestError::ClientId)?;
        let operations =
            fields.get("operations").and_then(Value::as_array).ok_or(PushRequestError::NotAnArray)?;
        if operations.len() > OPERATIONS_MAX {
            return Err(PushRequestError::TooMany);
        }
        let operations = operations
            .iter()
            .enumerate()
            .map(|(index, value)| match read(value, &client_id) {
                Ok(operation) => Pushed::Valid(operation),
                Err(why) => Pushed::Invalid { op_id: name(value, index), why },
            })
            .collect();
        Ok(Self { client_id, operations })
    }
}

fn read(value: &Value, client_id: &ClientId) -> Result<Operation, InvalidOperation> {
    let operation = Operation::parse(value)?;
    if operation.replica_id == *client_id { Ok(operation) } else { Err(InvalidOperation::OtherReplica) }
}

fn name(value: &Value, index: usize) -> String {
    let sent = value.get("opId").and_then(Value::as_str).map(trimmed).filter(|sent| !sent.is_empty());
    sent.map_or_else(|| format!("invalid-{index}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_malformed_push_has_its_text() {
        let says = |body: Value| PushRequest::parse(&body).unwrap_err().to_string();
        assert_eq!(says(json!(null)), "clientId and operations are required");
        assert_eq!(says(json!([])), "clientId and operations are required");
        let client = "clientId must be non-empty, <=128 chars, and must not contain \":\"";
        assert_eq!(says(json!({ "operations": [] })), client);
        assert_eq!(says(json!({ "clientId": "a:b", "operations": [] })), client);
        assert_eq!(says(json!({ "clientId": "a" })), "operations must be an array");
        let many = vec![json!({}); 501];
        assert_eq!(
            says(json!({ "clientId": "a", "operations": many })),
            "operations exceeds max entries (500)"
        );
    }

    #[test]
    fn an_invalid_operation_keeps_its_place_and_its_name() {
        let good = json!({
            "opId": "x", "opType": "link_add", "itemId": "i", "replicaId": "a", "writeId": 1,
            "occurredAt": "2026-02-14T20:00:00Z", "parentId": "p",
        });
        let mut other = good.clone();
        other["replicaId"] = json!("b");
        let body = json!({ "clientId": " a ", "operations": [7, { "opId": " y " }, good, other] });
        let request = PushRequest::parse(&body).unwrap();
        let names: Vec<&str> = request.operations.iter().map(Pushed::op_id).collect();
        assert_eq!(names, ["invalid-0", "y", "x", "x"]);
        assert!(matches!(request.operations[2], Pushed::Valid(_)));
        assert!(
            matches!(&request.operations[3], Pushed::Invalid { why, .. } if *why == InvalidOperation::OtherReplica)
        );
        let result = serde_json::to_value(request.operations[0].result(PushStatus::InvalidOp)).unwrap();
        assert_eq!(result, json!({ "opId": "invalid-0", "status": "invalidOp" }));
    }
}
