//! The rows of a state, their sum, and the export that they are.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use vfs_core::client::Client;

use super::StoreError;

/// One row of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) kind: String,
    pub(super) key: String,
    pub(super) value: String,
}

pub(super) const HEAD: &str = "head";
pub(super) const ACL: &str = "acl";
pub(super) const LINK: &str = "link";
pub(super) const CLOCK: &str = "clock";
pub(super) const PENDING: &str = "pending";
pub(super) const REJECTED: &str = "rejected";

/// The sum of any number of rows: what is added and taken away in any order gives the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum(u128);

impl Sum {
    pub(super) fn of_text(text: &str) -> Option<Self> {
        u128::from_str_radix(text, 16).ok().map(Self)
    }

    pub(super) fn to_text(self) -> String {
        format!("{:032x}", self.0)
    }

    pub(super) fn add(&mut self, kind: &str, key: &str, value: &str) {
        self.0 = self.0.wrapping_add(digest(kind, key, value));
    }

    pub(super) fn take(&mut self, kind: &str, key: &str, value: &str) {
        self.0 = self.0.wrapping_sub(digest(kind, key, value));
    }
}

fn digest(kind: &str, key: &str, value: &str) -> u128 {
    let mut hash = Sha256::new();
    for part in [kind, key, value] {
        // With lengths, so that no two rows have the same bytes.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(16).fold(0, |sum, byte| (sum << 8) | u128::from(*byte))
}

pub(super) fn sum(rows: &[Row]) -> Sum {
    let mut sum = Sum::default();
    for row in rows {
        sum.add(&row.kind, &row.key, &row.value);
    }
    sum
}

/// What stands in the one row of the head.
pub(super) fn head(client: &Client) -> String {
    let head = json!({
        "replayCursor": client.replay().cursor(),
        "reconcileState": client.reconciled(),
        "nextLocalWriteId": client.next_local_write_id(),
        "feedEpoch": client.feed_epoch(),
    });
    head.to_string()
}

/// Puts an export together. What is in the rows is not judged: taking it up does that.
pub(super) fn export(rows: &[Row]) -> Result<Value, StoreError> {
    let mut head = Value::Null;
    let (mut acl, mut links, mut clocks) = (Vec::new(), Vec::new(), Vec::new());
    let (mut pending, mut rejected) = (Vec::new(), Vec::new());
    for row in rows {
        let value: Value = super::read(&row.value)?;
        match row.kind.as_str() {
            HEAD => head = value,
            ACL => acl.push(value),
            LINK => links.push(value),
            CLOCK => clocks.push(value),
            PENDING => pending.push(value),
            REJECTED => rejected.push(value),
            other => return Err(StoreError::corrupt(format!("the store holds rows of kind {other:?}"))),
        }
    }
    let field = |name: &str| head.get(name).cloned().unwrap_or(Value::Null);
    Ok(json!({
        "replaySnapshot": { "acl": acl, "links": links, "cursor": field("replayCursor") },
        "reconcileState": field("reconcileState"),
        "containerClocks": clocks,
        "pendingOperations": pending,
        "nextLocalWriteId": field("nextLocalWriteId"),
        "rejectedOperations": rejected,
        "feedEpoch": field("feedEpoch"),
    }))
}
