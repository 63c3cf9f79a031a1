//! Registers: the last word on each grant and each link.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{ItemId, OpId, PrincipalId, ReplicaId, WriteId};
use crate::operation::{AccessLevel, Change, Operation, Principal, PrincipalType};
use crate::push::PushStatus;
use crate::timestamp::Timestamp;
use crate::write_ids::WriteIdMap;

/// Which of two operations on one register is the later: by time, then id, then replica, then write.
///
/// The order is total. That writes of one replica follow each other by their numbers is not part of it: with a clock
/// that goes back, such a rule and the times contradict each other in a circle, and what wins depends on who comes
/// first. In the server the time and the id are assigned at the head of the feed, where neither goes back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// The time.
    pub occurred_at: Timestamp,
    /// The operation.
    pub op_id: OpId,
    /// Who wrote it.
    pub replica_id: ReplicaId,
    /// As which write.
    pub write_id: WriteId,
}

impl Stamp {
    /// The stamp of an operation.
    #[must_use]
    pub fn of(operation: &Operation) -> Self {
        Self {
            occurred_at: operation.occurred_at,
            op_id: operation.op_id.clone(),
            replica_id: operation.replica_id.clone(),
            write_id: operation.write_id,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Register<T> {
    stamp: Stamp,
    value: T,
}

/// All registers. What was taken away is kept as a tombstone, so that an older grant cannot bring it back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registers {
    acl: BTreeMap<(ItemId, Principal), Register<Option<AccessLevel>>>,
    links: BTreeMap<(ItemId, ItemId), Register<bool>>,
    write_ids: WriteIdMap,
}

/// Access that stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AclState {
    /// To what.
    pub item_id: ItemId,
    /// Who has it.
    pub principal_type: PrincipalType,
    /// Who has it.
    pub principal_id: PrincipalId,
    /// How much.
    pub access_level: AccessLevel,
}

/// A link that stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkState {
    /// Below what.
    pub parent_id: ItemId,
    /// Which item.
    pub child_id: ItemId,
}

/// What stands, sorted by the bytes of its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisterSnapshot {
    /// By item, type of principal, principal.
    pub acl: Vec<AclState>,
    /// By parent, child.
    pub links: Vec<LinkState>,
    /// By replica.
    pub last_reconciled_write_ids: WriteIdMap,
}

impl Registers {
    /// Without any.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies an operation.
    ///
    /// A write that is not later than the last known one of its replica is [`PushStatus::StaleWriteId`] and changes
    /// nothing. Any other is noted as known, also where it then loses ([`PushStatus::OutdatedOp`]).
    ///
    /// As long as each replica's writes arrive in their order, it does not matter in which order those of different
    /// replicas arrive.
    pub fn apply(&mut self, operation: &Operation) -> PushStatus {
        let known = self.write_ids.get(&operation.replica_id);
        if known.is_some_and(|known| operation.write_id <= known) {
            return PushStatus::StaleWriteId;
        }
        self.write_ids.observe(operation.replica_id.clone(), operation.write_id);
        if self.merge(operation) { PushStatus::Applied } else { PushStatus::OutdatedOp }
    }

    /// Reads and applies a value; what is no operation is [`PushStatus::InvalidOp`] and changes nothing.
    pub fn apply_value(&mut self, value: &Value) -> PushStatus {
        Operation::parse(value).map_or(PushStatus::InvalidOp, |operation| self.apply(&operation))
    }

    /// Gives the operation's register the operation's value if its stamp is later, without looking at write ids;
    /// whether it did. Neither the order nor the number of merges matters.
    pub fn merge(&mut self, operation: &Operation) -> bool {
        let stamp = Stamp::of(operation);
        let item_id = operation.item_id.clone();
        match &operation.change {
            Change::AclAdd { principal, level } => {
                set(self.acl.entry((item_id, principal.clone())), stamp, Some(*level))
            }
            Change::AclRemove { principal } => set(self.acl.entry((item_id, principal.clone())), stamp, None),
            Change::LinkAdd { parent_id } => set(self.links.entry((parent_id.clone(), item_id)), stamp, true),
            Change::LinkRemove { parent_id } => {
                set(self.links.entry((parent_id.clone(), item_id)), stamp, false)
            }
        }
    }

    /// What stands.
    #[must_use]
    pub fn snapshot(&self) -> RegisterSnapshot {
        let acl = self.acl.iter().filter_map(|((item_id, principal), register)| {
            Some(AclState {
                item_id: item_id.clone(),
                principal_type: principal.kind,
                principal_id: principal.id.clone(),
                access_level: register.value?,
            })
        });
        let links = self.links.iter().filter(|(_, register)| register.value);
        RegisterSnapshot {
            acl: acl.collect(),
            links: links
                .map(|((parent_id, child_id), _)| LinkState {
                    parent_id: parent_id.clone(),
                    child_id: child_id.clone(),
                })
                .collect(),
            last_reconciled_write_ids: self.write_ids.clone(),
        }
    }
}

fn set<K: Ord, T>(entry: Entry<'_, K, Register<T>>, stamp: Stamp, value: T) -> bool {
    match entry {
        Entry::Occupied(register) if stamp <= register.get().stamp => return false,
        Entry::Occupied(mut register) => *register.get_mut() = Register { stamp, value },
        Entry::Vacant(place) => {
            place.insert(Register { stamp, value });
        }
    }
    true
}
