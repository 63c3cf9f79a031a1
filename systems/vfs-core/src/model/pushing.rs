//! Pushing: what becomes of each operation.

use super::{Model, PUSH_TABLE, Told};
use crate::cursor::Cursor;
use crate::feed::FeedItem;
use crate::id::{ReplicaId, UserId};
use crate::operation::Operation;
use crate::push::{PushReply, PushRequest, PushStatus, Pushed};
use crate::timestamp::Timestamp;
use crate::write_ids::WriteIdMap;

impl Model {
    /// Pushes operations, one after the other, in one transaction.
    ///
    /// Each is invalid unless its item is the user's; already applied where the user has pushed its id before, under
    /// whatever write id; stale where its write id is not later than the last of its replica; else it is in the feed,
    /// at the head, whatever its client's clock says.
    pub fn push(&mut self, now: Timestamp, user: &UserId, request: &PushRequest) -> PushReply {
        let mut told = Told::default();
        let results = request
            .operations
            .iter()
            .map(|pushed| {
                let status = match pushed {
                    Pushed::Invalid { .. } => PushStatus::InvalidOp,
                    Pushed::Valid(operation) => self.judge(user, operation),
                };
                if let (Pushed::Valid(operation), PushStatus::Applied) = (pushed, status) {
                    self.note(user, operation);
                    told.operation(pushed_item(user, operation));
                }
                pushed.result(status)
            })
            .collect();
        self.tell(now, told);
        PushReply { client_id: request.client_id.clone(), results }
    }

    /// The last write of each replica that a user has pushed with.
    #[must_use]
    pub fn write_ids(&self, user: &UserId) -> WriteIdMap {
        let own = self.heads.iter().filter(|((owner, _), _)| owner == user);
        own.map(|((_, replica_id), write_id)| (replica_id.clone(), *write_id)).collect()
    }

    fn judge(&self, user: &UserId, operation: &Operation) -> PushStatus {
        if self.owners.get(&operation.item_id) != Some(user) {
            return PushStatus::InvalidOp;
        }
        if self.pushed.contains(&(user.clone(), operation.op_id.clone())) {
            return PushStatus::AlreadyApplied;
        }
        let head = self.heads.get(&key(user, &operation.replica_id));
        if head.is_some_and(|head| operation.write_id <= *head) {
            return PushStatus::StaleWriteId;
        }
        PushStatus::Applied
    }

    fn note(&mut self, user: &UserId, operation: &Operation) {
        self.pushed.insert((user.clone(), operation.op_id.clone()));
        self.heads.insert(key(user, &operation.replica_id), operation.write_id);
    }
}

fn key(user: &UserId, replica_id: &ReplicaId) -> (UserId, ReplicaId) {
    (user.clone(), replica_id.clone())
}

fn pushed_item(user: &UserId, operation: &Operation) -> FeedItem {
    let Operation { replica_id, write_id, op_id, .. } = operation;
    let source_id = format!("{user}:{replica_id}:{write_id}:{op_id}");
    // The head replaces both when it gives the item its place.
    let nowhere = Cursor { changed_at: operation.occurred_at, change_id: String::new() };
    FeedItem::of(operation, &nowhere, user.as_str(), PUSH_TABLE, &source_id)
}
