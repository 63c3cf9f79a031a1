//! What an application asks the client to write, and what is refused before it is queued.

use thiserror::Error;

use super::envelope::{Envelope, EnvelopeError};
use crate::id::{ClientId, IdError, ItemId, OpId, PrincipalId, WriteId, trimmed};
use crate::operation::{AccessLevel, Change, OpType, Operation, Principal, PrincipalType};
use crate::timestamp::Timestamp;

/// An operation as an application states it. White space around texts is not part of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalOperation {
    /// Names it for ever, for its user; `None`: `<clientId>-<writeId>`.
    ///
    /// Whoever can lose a client's state, or take up an old one, gives an id of its own (a UUID): the server takes a
    /// second operation under a known id for a repetition of the first.
    pub op_id: Option<String>,
    /// What it does.
    pub op_type: OpType,
    /// What it is about.
    pub item_id: String,
    /// When, by the application's clock; `None`, or what is no time: now.
    pub occurred_at: Option<String>,
    /// For access: to whom.
    pub principal_type: Option<PrincipalType>,
    /// For access: to whom.
    pub principal_id: Option<String>,
    /// For `acl_add`: how much.
    pub access_level: Option<AccessLevel>,
    /// For links.
    pub parent_id: Option<String>,
    /// For links: the item.
    pub child_id: Option<String>,
    /// What goes along encrypted. The plain fields are needed all the same: the server demands them.
    pub envelope: Envelope,
}

impl LocalOperation {
    /// One that puts an item below a parent, or takes it from there.
    #[must_use]
    pub fn link(op_type: OpType, parent_id: &str, child_id: &str) -> Self {
        let (parent_id, child) = (Some(parent_id.to_owned()), Some(child_id.to_owned()));
        Self { parent_id, child_id: child, ..Self::about(op_type, child_id) }
    }

    /// One that gives a principal access to an item.
    #[must_use]
    pub fn grant(item_id: &str, principal_type: PrincipalType, id: &str, level: AccessLevel) -> Self {
        let (principal_type, principal_id) = (Some(principal_type), Some(id.to_owned()));
        let access_level = Some(level);
        Self { principal_type, principal_id, access_level, ..Self::about(OpType::AclAdd, item_id) }
    }

    /// One that takes a principal's access to an item away.
    #[must_use]
    pub fn revoke(item_id: &str, principal_type: PrincipalType, id: &str) -> Self {
        let (principal_type, principal_id) = (Some(principal_type), Some(id.to_owned()));
        Self { principal_type, principal_id, ..Self::about(OpType::AclRemove, item_id) }
    }

    /// The same under an id of its own.
    #[must_use]
    pub fn named(mut self, op_id: &str) -> Self {
        self.op_id = Some(op_id.to_owned());
        self
    }

    /// The same at a time.
    #[must_use]
    pub fn at(mut self, occurred_at: Timestamp) -> Self {
        self.occurred_at = Some(occurred_at.to_string());
        self
    }

    fn about(op_type: OpType, item_id: &str) -> Self {
        Self {
            op_id: None,
            op_type,
            item_id: item_id.to_owned(),
            occurred_at: None,
            principal_type: None,
            principal_id: None,
            access_level: None,
            parent_id: None,
            child_id: None,
            envelope: Envelope::default(),
        }
    }
}

/// Why an operation is not queued. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QueueError {
    /// No item.
    #[error("itemId is required")]
    ItemId,
    /// A blank id.
    #[error("opId is required")]
    OpId,
    /// An operation of that id waits, or was rejected and is kept.
    #[error("opId {0} is already queued")]
    AlreadyQueued(OpId),
    /// The id of the last item that was read: an export with both could not be taken up again.
    #[error("opId {0} is that of the last item that was read")]
    Boundary(OpId),
    /// Access without whom it is about.
    #[error("principalType and principalId are required for acl operations")]
    Principal,
    /// Access is given without saying how much.
    #[error("accessLevel is required for acl_add")]
    AccessLevel,
    /// A link without both ends.
    #[error("parentId and childId are required for link operations")]
    Link,
    /// A link of another item.
    #[error("link childId must match itemId")]
    ChildId,
    /// A link of an item to itself, which the server would refuse.
    #[error("link parentId must not match itemId")]
    SelfLink,
    /// What goes along encrypted.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// An id that cannot be stored.
    #[error("{field}: {why}")]
    Id {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        why: IdError,
    },
    /// There are as many waiting and rejected operations as are kept.
    #[error("the queue is full: {0} operations wait or were rejected")]
    Full(usize),
    /// This replica has used its last number.
    #[error("there is no write id after {0}")]
    WriteIds(WriteId),
    /// No operation of that id was rejected.
    #[error("opId {0} is not rejected")]
    NotRejected(String),
}

/// Makes the operation of a client that an application stated, with everything checked but whether its id is known.
pub(super) fn operation(
    local: &LocalOperation,
    client_id: &ClientId,
    write_id: WriteId,
    now: Timestamp,
) -> Result<Operation, QueueError> {
    let item_id = text(Some(&local.item_id)).ok_or(QueueError::ItemId)?;
    let item_id = item(item_id, "itemId")?;
    let occurred_at = local.occurred_at.as_deref().and_then(|text| text.parse().ok()).unwrap_or(now);
    let op_id = match &local.op_id {
        None => OpId::parse(&format!("{client_id}-{write_id}")),
        Some(op_id) => OpId::parse(text(Some(op_id)).ok_or(QueueError::OpId)?),
    };
    let op_id = op_id.map_err(|why| QueueError::Id { field: "opId", why })?;
    let change = change(local, &item_id)?;
    Ok(Operation { op_id, item_id, replica_id: client_id.clone(), write_id, occurred_at, change })
}

fn change(local: &LocalOperation, item_id: &ItemId) -> Result<Change, QueueError> {
    if local.op_type.is_acl() {
        let (Some(kind), Some(id)) = (local.principal_type, text(local.principal_id.as_ref())) else {
            return Err(QueueError::Principal);
        };
        let id = PrincipalId::parse(id).map_err(|why| QueueError::Id { field: "principalId", why })?;
        let principal = Principal { kind, id };
        if local.op_type == OpType::AclRemove {
            return Ok(Change::AclRemove { principal });
        }
        let level = local.access_level.ok_or(QueueError::AccessLevel)?;
        return Ok(Change::AclAdd { principal, level });
    }
    let (Some(parent_id), Some(child_id)) = (text(local.parent_id.as_ref()), text(local.child_id.as_ref()))
    else {
        return Err(QueueError::Link);
    };
    let parent_id = item(parent_id, "parentId")?;
    if child_id != item_id.as_str() {
        return Err(QueueError::ChildId);
    }
    if parent_id == *item_id {
        return Err(QueueError::SelfLink);
    }
    Ok(match local.op_type {
        OpType::LinkRemove => Change::LinkRemove { parent_id },
        _ => Change::LinkAdd { parent_id },
    })
}

fn item(id: &str, field: &'static str) -> Result<ItemId, QueueError> {
    ItemId::parse(id).map_err(|why| QueueError::Id { field, why })
}

fn text(field: Option<&String>) -> Option<&str> {
    field.map(|text| trimmed(text)).filter(|text| !text.is_empty())
}
