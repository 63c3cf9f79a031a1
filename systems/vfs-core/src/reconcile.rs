//! Reconciling: a client tells how far it has come, and the server remembers the most.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::cursor::Cursor;
use crate::id::{ClientId, trimmed};
use crate::write_ids::{WriteIdMap, WriteIdMapError};

/// How far a client has come: its cursor, and the last known write of each replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReconcileState {
    /// Everything up to here has been read.
    pub cursor: Cursor,
    /// The writes that are known.
    pub last_reconciled_write_ids: WriteIdMap,
}

impl ReconcileState {
    /// The later cursor and for each replica the larger write. The order of merges does not matter.
    #[must_use]
    pub fn merged(mut self, other: &Self) -> Self {
        if other.cursor > self.cursor {
            self.cursor = other.cursor.clone();
        }
        self.last_reconciled_write_ids.merge(&other.last_reconciled_write_ids);
        self
    }

    /// Whether it has come as far as is required. An equal cursor has.
    #[must_use]
    pub fn dominates(&self, cursor: &Cursor, write_ids: &WriteIdMap) -> bool {
        self.cursor >= *cursor && self.last_reconciled_write_ids.dominates(write_ids)
    }
}

/// A reconcile request of the operation feed, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconcileRequest {
    /// Whose state it is.
    pub client_id: ClientId,
    /// How far it has come.
    pub state: ReconcileState,
}

/// Why a reconcile request is refused. The texts are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReconcileRequestError {
    /// Not an object, or one of them missing or blank.
    #[error("clientId and cursor are required")]
    Required,
    /// Not a cursor.
    #[error("Invalid cursor")]
    Cursor,
    /// A `:` in the client's id, or an id that cannot be one for its length.
    #[error("clientId must not contain \":\"")]
    ClientId,
    /// The map of writes.
    #[error(transparent)]
    WriteIds(#[from] WriteIdMapError),
}

impl ReconcileRequest {
    /// Reads the body of a reconcile request.
    ///
    /// # Errors
    /// What is wrong with it first, in the order of [`ReconcileRequestError`].
    pub fn parse(body: &Value) -> Result<Self, ReconcileRequestError> {
        let text =
            |name: &str| body.get(name).and_then(Value::as_str).map(trimmed).filter(|text| !text.is_empty());
        let (Some(client_id), Some(cursor)) = (text("clientId"), text("cursor")) else {
            return Err(ReconcileRequestError::Required);
        };
        let cursor = Cursor::decode(cursor).ok_or(ReconcileRequestError::Cursor)?;
        let client_id = ClientId::parse(client_id).map_err(|_| ReconcileRequestError::ClientId)?;
        let last_reconciled_write_ids = WriteIdMap::parse_field(body.get("lastReconciledWriteIds"))?;
        Ok(Self { client_id, state: ReconcileState { cursor, last_reconciled_write_ids } })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cursor(id: &str) -> Cursor {
        Cursor::new("2026-02-14T20:00:00Z".parse().unwrap(), id).unwrap()
    }

    #[test]
    fn each_malformed_request_has_its_text() {
        let says = |body: Value| ReconcileRequest::parse(&body).unwrap_err().to_string();
        let good = cursor("a").encode();
        for body in
            [json!(null), json!({}), json!({ "clientId": " ", "cursor": good }), json!({ "clientId": "a" })]
        {
            assert_eq!(says(body), "clientId and cursor are required");
        }
        assert_eq!(says(json!({ "clientId": "a:b", "cursor": "?" })), "Invalid cursor");
        assert_eq!(says(json!({ "clientId": "a:b", "cursor": good })), "clientId must not contain \":\"");
        assert_eq!(
            says(json!({ "clientId": "a", "cursor": good, "lastReconciledWriteIds": [] })),
            "lastReconciledWriteIds must be an object map of replicaId -> writeId"
        );
        for absent in [
            json!({ "clientId": "a", "cursor": good }),
            json!({ "clientId": "a", "cursor": good, "lastReconciledWriteIds": null }),
        ] {
            assert!(ReconcileRequest::parse(&absent).unwrap().state.last_reconciled_write_ids.is_empty());
        }
    }

    #[test]
    fn merging_never_goes_back_and_its_order_does_not_matter() {
        let state = |id: &str, ids: Value| ReconcileState {
            cursor: cursor(id),
            last_reconciled_write_ids: WriteIdMap::parse(&ids).unwrap(),
        };
        let a = state("a", json!({ "x": 3 }));
        let b = state("b", json!({ "x": 1, "y": 2 }));
        let both = state("b", json!({ "x": 3, "y": 2 }));
        assert_eq!(a.clone().merged(&b), both);
        assert_eq!(b.clone().merged(&a), both);
        assert!(both.dominates(&a.cursor, &b.last_reconciled_write_ids));
        assert!(!a.dominates(&a.cursor, &b.last_reconciled_write_ids));
    }
}
