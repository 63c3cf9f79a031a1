//! Operations: what a client may say about access and links.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::id::{ItemId, OpId, PrincipalId, ReplicaId, WriteId};
use crate::timestamp::Timestamp;

macro_rules! word {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// All of them, in their order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its word, on the wire as in the database.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads its word; `None`: it is another.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use word;

word! {
    /// What an operation does.
    OpType {
        /// Gives a principal access to an item.
        AclAdd = "acl_add",
        /// Takes it away.
        AclRemove = "acl_remove",
        /// Puts an item below a parent.
        LinkAdd = "link_add",
        /// Takes it from there.
        LinkRemove = "link_remove",
    }
}

impl OpType {
    /// Whether it is about access; otherwise it is about a link.
    #[must_use]
    pub const fn is_acl(self) -> bool {
        matches!(self, Self::AclAdd | Self::AclRemove)
    }
}

word! {
    /// Who may be given access. Ordered as the words are.
    PrincipalType {
        /// Everybody in a group.
        Group = "group",
        /// Everybody in an organisation.
        Organization = "organization",
        /// One user.
        User = "user",
    }
}

word! {
    /// How much access. Ordered: more is greater.
    AccessLevel {
        /// Rank 1.
        Read = "read",
        /// Rank 2.
        Write = "write",
        /// Rank 3.
        Admin = "admin",
    }
}

impl AccessLevel {
    /// 1 to 3; what an owner has counts as 3.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Write => 2,
            Self::Admin => 3,
        }
    }
}

/// Somebody, or some set of people, that can be given access.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Principal {
    /// User, group or organisation.
    #[serde(rename = "principalType")]
    pub kind: PrincipalType,
    /// Its id among those.
    #[serde(rename = "principalId")]
    pub id: PrincipalId,
}

/// What an operation changes. The child of a link is always the operation's item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Change {
    /// The principal gets this level on the item.
    AclAdd {
        /// Who.
        principal: Principal,
        /// How much.
        level: AccessLevel,
    },
    /// The principal has nothing on the item any more.
    AclRemove {
        /// Who.
        principal: Principal,
    },
    /// The item is below the parent.
    LinkAdd {
        /// Never the item itself.
        parent_id: ItemId,
    },
    /// The item is not below the parent any more.
    LinkRemove {
        /// Never the item itself.
        parent_id: ItemId,
    },
}

impl Change {
    /// Its type.
    #[must_use]
    pub const fn op_type(&self) -> OpType {
        match self {
            Self::AclAdd { .. } => OpType::AclAdd,
            Self::AclRemove { .. } => OpType::AclRemove,
            Self::LinkAdd { .. } => OpType::LinkAdd,
            Self::LinkRemove { .. } => OpType::LinkRemove,
        }
    }

    /// The principal of a change of access.
    #[must_use]
    pub const fn principal(&self) -> Option<&Principal> {
        match self {
            Self::AclAdd { principal, .. } | Self::AclRemove { principal } => Some(principal),
            Self::LinkAdd { .. } | Self::LinkRemove { .. } => None,
        }
    }

    /// The level that is given.
    #[must_use]
    pub const fn level(&self) -> Option<AccessLevel> {
        match self {
            Self::AclAdd { level, .. } => Some(*level),
            _ => None,
        }
    }

    /// The parent of a link.
    #[must_use]
    pub const fn parent_id(&self) -> Option<&ItemId> {
        match self {
            Self::LinkAdd { parent_id } | Self::LinkRemove { parent_id } => Some(parent_id),
            Self::AclAdd { .. } | Self::AclRemove { .. } => None,
        }
    }
}

/// A valid operation of a client.
///
/// As JSON: `opId`, `opType`, `itemId`, `replicaId`, `writeId`, `occurredAt`; for access `principalType`,
/// `principalId` and, to give it, `accessLevel`; for links `parentId` and `childId`. Reading it back is
/// [`Operation::parse`], so that no invalid one exists. Encrypted fields are not read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Operation {
    /// Names it for ever, for its user.
    pub op_id: OpId,
    /// What it is about.
    pub item_id: ItemId,
    /// Who wrote it: the client's id.
    pub replica_id: ReplicaId,
    /// The number of the write for this replica.
    pub write_id: WriteId,
    /// When, by the client's clock. The server's order does not use it.
    pub occurred_at: Timestamp,
    /// What it changes.
    pub change: Change,
}

/// Why a value is no operation: the first of these that holds, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidOperation {
    /// Not a JSON object.
    #[error("the operation is not an object")]
    NotAnObject,
    /// No id, a blank one, or none that can be stored.
    #[error("opId is missing or no id")]
    OpId,
    /// Not one of the four types.
    #[error("opType is unknown")]
    OpType,
    /// No item, or none that can be stored.
    #[error("itemId is missing or no id")]
    ItemId,
    /// Not a client's id.
    #[error("replicaId is missing or no client's id")]
    ReplicaId,
    /// Not the client that sent it.
    #[error("replicaId is not the client's id")]
    OtherReplica,
    /// Not a whole number from 1 to 2^53 − 1.
    #[error("writeId is not a whole number from 1 to 9007199254740991")]
    WriteId,
    /// No point in time.
    #[error("occurredAt is no time")]
    OccurredAt,
    /// An operation on access without whom it is about.
    #[error("principalType or principalId is missing")]
    Principal,
    /// Access is given without saying how much.
    #[error("accessLevel is missing")]
    AccessLevel,
    /// A link without its parent.
    #[error("parentId is missing or no id")]
    ParentId,
    /// A link whose child is not the item.
    #[error("childId is not itemId")]
    ChildId,
    /// A link of an item to itself.
    #[error("parentId is itemId")]
    SelfLink,
}

impl Operation {
    /// Reads an operation, with `childId` taken for the item where it is absent or null.
    ///
    /// # Errors
    /// What is wrong with it first.
    pub fn parse(value: &Value) -> Result<Self, InvalidOperation> {
        let fields = value.as_object().ok_or(InvalidOperation::NotAnObject)?;
        let op_id = OpId::from_value(fields.get("opId")).ok_or(InvalidOperation::OpId)?;
        let op_type = op_type(fields).ok_or(InvalidOperation::OpType)?;
        let item_id = ItemId::from_value(fields.get("itemId")).ok_or(InvalidOperation::ItemId)?;
        let replica_id = ReplicaId::from_value(fields.get("replicaId")).ok_or(InvalidOperation::ReplicaId)?;
        let write_id =
            fields.get("writeId").and_then(WriteId::from_value).ok_or(InvalidOperation::WriteId)?;
        let occurred_at = fields
            .get("occurredAt")
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok())
            .ok_or(InvalidOperation::OccurredAt)?;
        let change = change(fields, op_type, &item_id)?;
        Ok(Self { op_id, item_id, replica_id, write_id, occurred_at, change })
    }

    /// Its type.
    #[must_use]
    pub const fn op_type(&self) -> OpType {
        self.change.op_type()
    }

    /// The child of a link: the item.
    #[must_use]
    pub fn child_id(&self) -> Option<&ItemId> {
        self.change.parent_id().map(|_| &self.item_id)
    }
}

fn op_type(fields: &Map<String, Value>) -> Option<OpType> {
    OpType::parse(fields.get("opType")?.as_str()?)
}

fn change(
    fields: &Map<String, Value>,
    op_type: OpType,
    item_id: &ItemId,
) -> Result<Change, InvalidOperation> {
    if op_type.is_acl() {
        let kind = fields.get("principalType").and_then(Value::as_str).and_then(PrincipalType::parse);
        let id = PrincipalId::from_value(fields.get("principalId"));
        let (Some(kind), Some(id)) = (kind, id) else { return Err(InvalidOperation::Principal) };
        let principal = Principal { kind, id };
        if op_type == OpType::AclRemove {
            return Ok(Change::AclRemove { principal });
        }
        let level = fields.get("accessLevel").and_then(Value::as_str).and_then(AccessLevel::parse);
        let level = level.ok_or(InvalidOperation::AccessLevel)?;
        return Ok(Change::AclAdd { principal, level });
    }
    let parent_id = ItemId::from_value(fields.get("parentId")).ok_or(InvalidOperation::ParentId)?;
    match fields.get("childId") {
        None | Some(Value::Null) => {}
        child => {
            if ItemId::from_value(child).as_ref() != Some(item_id) {
                return Err(InvalidOperation::ChildId);
            }
        }
    }
    if parent_id == *item_id {
        return Err(InvalidOperation::SelfLink);
    }
    Ok(if op_type == OpType::LinkAdd {
        Change::LinkAdd { parent_id }
    } else {
        Change::LinkRemove { parent_id }
    })
}

impl TryFrom<Value> for Operation {
    type Error = InvalidOperation;

    fn try_from(value: Value) -> Result<Self, InvalidOperation> {
        Self::parse(&value)
    }
}

impl From<Operation> for Value {
    fn from(operation: Operation) -> Self {
        let mut fields = Map::new();
        let mut put = |name: &str, text: &str| fields.insert(name.to_owned(), Self::from(text));
        put("opId", operation.op_id.as_str());
        put("opType", operation.op_type().as_str());
        put("itemId", operation.item_id.as_str());
        put("replicaId", operation.replica_id.as_str());
        put("occurredAt", &operation.occurred_at.to_string());
        if let Some(principal) = operation.change.principal() {
            put("principalType", principal.kind.as_str());
            put("principalId", principal.id.as_str());
        }
        if let Some(level) = operation.change.level() {
            put("accessLevel", level.as_str());
        }
        if let Some(parent_id) = operation.change.parent_id() {
            put("parentId", parent_id.as_str());
            put("childId", operation.item_id.as_str());
        }
        fields.insert("writeId".to_owned(), Self::from(operation.write_id.get()));
        Self::Object(fields)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn link() -> Value {
        json!({
            "opId": "desktop-1", "opType": "link_add", "itemId": "file", "replicaId": "desktop", "writeId": 1,
            "occurredAt": "2026-02-14T20:00:00.000Z", "parentId": "folder", "childId": "file",
        })
    }

    fn access() -> Value {
        json!({
            "opId": "a:b/c@d#e", "opType": "acl_add", "itemId": "file", "replicaId": "desktop", "writeId": 2,
            "occurredAt": "2026-02-14T20:00:00.000Z", "principalType": "group", "principalId": "g",
            "accessLevel": "write",
        })
    }

    fn with(mut value: Value, field: &str, to: Value) -> Result<Operation, InvalidOperation> {
        value.as_object_mut().unwrap().insert(field.to_owned(), to);
        Operation::parse(&value)
    }

    #[test]
    fn a_valid_operation_survives_its_json() {
        for value in [link(), access()] {
            let operation = Operation::parse(&value).unwrap();
            assert_eq!(serde_json::to_value(&operation).unwrap(), value);
            assert_eq!(serde_json::from_value::<Operation>(value).unwrap(), operation);
        }
    }

    #[test]
    fn the_child_of_a_link_may_be_left_out() {
        assert!(with(link(), "childId", Value::Null).is_ok());
        let mut value = link();
        value.as_object_mut().unwrap().remove("childId");
        assert_eq!(Operation::parse(&value).unwrap().child_id().unwrap().as_str(), "file");
    }

    #[test]
    fn each_rule_is_told_apart() {
        use InvalidOperation as Why;
        let cases = [
            (Operation::parse(&json!([])), Why::NotAnObject),
            (with(link(), "opId", json!(" ")), Why::OpId),
            (with(link(), "opId", json!("x".repeat(10_240))), Why::OpId),
            (with(link(), "opType", json!("link")), Why::OpType),
            (with(link(), "itemId", json!(7)), Why::ItemId),
            (with(link(), "itemId", json!("a\0")), Why::ItemId),
            (with(link(), "replicaId", json!("a:b")), Why::ReplicaId),
            (with(link(), "writeId", json!(0)), Why::WriteId),
            (with(link(), "writeId", json!("1")), Why::WriteId),
            (with(link(), "writeId", json!(9_007_199_254_740_992_u64)), Why::WriteId),
            (with(link(), "occurredAt", json!("soon")), Why::OccurredAt),
            (with(access(), "principalType", json!("robot")), Why::Principal),
            (with(access(), "principalId", json!("")), Why::Principal),
            (with(access(), "accessLevel", json!(null)), Why::AccessLevel),
            (with(link(), "parentId", json!("")), Why::ParentId),
            (with(link(), "childId", json!("other")), Why::ChildId),
            (with(link(), "parentId", json!("file")), Why::SelfLink),
        ];
        for (got, why) in cases {
            assert_eq!(got, Err(why));
        }
    }

    #[test]
    fn more_access_is_greater() {
        assert!(AccessLevel::Admin > AccessLevel::Write && AccessLevel::Write > AccessLevel::Read);
        for level in AccessLevel::ALL {
            assert_eq!(AccessLevel::parse(level.as_str()), Some(*level));
        }
    }
}
