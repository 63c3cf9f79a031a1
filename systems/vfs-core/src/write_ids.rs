//! How far each replica's writes are known.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::id::{ReplicaId, WriteId};

/// The replicas that one map may name.
pub const ENTRIES_MAX: usize = 512;

/// For each replica its last known write, in the order of the replicas' bytes. As JSON an object.
///
/// Reading it from JSON with serde is [`WriteIdMap::parse`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct WriteIdMap(BTreeMap<ReplicaId, WriteId>);

/// Why a value is no such map. The texts are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WriteIdMapError {
    /// An array, a string, a number, a boolean.
    #[error("lastReconciledWriteIds must be an object map of replicaId -> writeId")]
    NotAMap,
    /// More than [`ENTRIES_MAX`] entries.
    #[error("lastReconciledWriteIds exceeds max entries (512)")]
    TooMany,
    /// A key that is no client's id.
    #[error(
        "lastReconciledWriteIds contains invalid replicaId (must be non-empty, <=128 chars, and must not include \":\")"
    )]
    ReplicaId,
    /// A value that is no whole number from 1 to 2^53 − 1.
    #[error("lastReconciledWriteIds contains invalid writeId (must be a positive integer)")]
    WriteId,
}

/// A replica whose last known write is less than it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteIdRegression {
    /// Whose.
    pub replica_id: ReplicaId,
    /// What it was.
    pub previous: WriteId,
    /// What came.
    pub incoming: WriteId,
}

impl WriteIdMap {
    /// Without entries.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Reads a JSON value. Null is the empty map; keys are trimmed, and of two that are then the same the larger
    /// write counts.
    ///
    /// # Errors
    /// What is wrong with it first.
    pub fn parse(value: &Value) -> Result<Self, WriteIdMapError> {
        let entries = match value {
            Value::Null => return Ok(Self::new()),
            Value::Object(entries) => entries,
            _ => return Err(WriteIdMapError::NotAMap),
        };
        if entries.len() > ENTRIES_MAX {
            return Err(WriteIdMapError::TooMany);
        }
        let mut map = Self::new();
        for (key, value) in entries {
            let replica_id = ReplicaId::parse(key).map_err(|_| WriteIdMapError::ReplicaId)?;
            map.observe(replica_id, WriteId::from_value(value).ok_or(WriteIdMapError::WriteId)?);
        }
        Ok(map)
    }

    /// Reads a field that may be absent; absent is the empty map.
    ///
    /// # Errors
    /// As [`WriteIdMap::parse`].
    pub fn parse_field(value: Option<&Value>) -> Result<Self, WriteIdMapError> {
        value.map_or_else(|| Ok(Self::new()), Self::parse)
    }

    /// The last known write of a replica.
    #[must_use]
    pub fn get(&self, replica_id: &ReplicaId) -> Option<WriteId> {
        self.0.get(replica_id).copied()
    }

    /// Takes note of a write: never lowers.
    pub fn observe(&mut self, replica_id: ReplicaId, write_id: WriteId) {
        let known = self.0.entry(replica_id).or_insert(write_id);
        *known = (*known).max(write_id);
    }

    /// Takes note of all of another map: for each replica the larger. The order of merges does not matter.
    pub fn merge(&mut self, other: &Self) {
        for (replica_id, write_id) in &other.0 {
            self.observe(replica_id.clone(), *write_id);
        }
    }

    /// The first replica, in their order, whose entry in `incoming` is less than here. Absent ones are not.
    #[must_use]
    pub fn regression(&self, incoming: &Self) -> Option<WriteIdRegression> {
        self.0.iter().find_map(|(replica_id, previous)| {
            let incoming = incoming.get(replica_id).filter(|incoming| incoming < previous)?;
            Some(WriteIdRegression { replica_id: replica_id.clone(), previous: *previous, incoming })
        })
    }

    /// Whether every entry of `required` is here, and no less.
    #[must_use]
    pub fn dominates(&self, required: &Self) -> bool {
        required.0.iter().all(|(replica_id, least)| self.get(replica_id).is_some_and(|known| known >= *least))
    }

    /// The entries, in the order of the replicas' bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&ReplicaId, WriteId)> {
        self.0.iter().map(|(replica_id, write_id)| (replica_id, *write_id))
    }

    /// How many replicas it names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it names none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Value> for WriteIdMap {
    type Error = WriteIdMapError;

    fn try_from(value: Value) -> Result<Self, WriteIdMapError> {
        Self::parse(&value)
    }
}

impl FromIterator<(ReplicaId, WriteId)> for WriteIdMap {
    fn from_iter<T: IntoIterator<Item = (ReplicaId, WriteId)>>(entries: T) -> Self {
        let mut map = Self::new();
        for (replica_id, write_id) in entries {
            map.observe(replica_id, write_id);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn each_malformed_map_has_its_text() {
        let says = |value: Value| WriteIdMap::parse(&value).unwrap_err().to_string();
        let not_a_map = "lastReconciledWriteIds must be an object map of replicaId -> writeId";
        for value in [json!([]), json!("x"), json!(1), json!(true)] {
            assert_eq!(says(value), not_a_map);
        }
        let many: serde_json::Map<_, _> = (0..513).map(|n| (format!("r{n}"), json!(1))).collect();
        assert_eq!(says(Value::Object(many)), "lastReconciledWriteIds exceeds max entries (512)");
        for key in ["", " ", "a:b", &"x".repeat(129)] {
            assert_eq!(
                says(json!({ key: 1 })),
                "lastReconciledWriteIds contains invalid replicaId (must be non-empty, <=128 chars, and must not include \":\")"
            );
        }
        for value in
            [json!(0), json!(-1), json!(1.5), json!("1"), json!(null), json!(9_007_199_254_740_992_u64)]
        {
            assert_eq!(
                says(json!({ "a": value })),
                "lastReconciledWriteIds contains invalid writeId (must be a positive integer)"
            );
        }
    }

    #[test]
    fn null_is_empty_keys_are_trimmed_and_the_output_is_sorted() {
        assert_eq!(WriteIdMap::parse(&Value::Null), Ok(WriteIdMap::new()));
        let map = WriteIdMap::parse(&json!({ "b": 1, " a ": 3, "a": 2 })).unwrap();
        assert_eq!(serde_json::to_string(&map).unwrap(), r#"{"a":3,"b":1}"#);
    }

    #[test]
    fn the_first_replica_that_falls_is_told_and_a_missing_one_is_none() {
        let known = WriteIdMap::parse(&json!({ "a": 5, "b": 5, "c": 5 })).unwrap();
        let incoming = WriteIdMap::parse(&json!({ "c": 1, "b": 2, "d": 1 })).unwrap();
        let regression = known.regression(&incoming).unwrap();
        assert_eq!((regression.replica_id.as_str(), regression.incoming.get()), ("b", 2));
        assert_eq!(known.regression(&WriteIdMap::new()), None);
        assert!(known.dominates(&WriteIdMap::parse(&json!({ "a": 5 })).unwrap()));
        assert!(!known.dominates(&incoming));
    }

    fn maps() -> impl Strategy<Value = WriteIdMap> {
        prop::collection::vec(("[a-e]", 1_u64..9), 0..8).prop_map(|entries| {
            entries
                .into_iter()
                .map(|(key, id)| (ReplicaId::parse(&key).unwrap(), WriteId::new(id).unwrap()))
                .collect()
        })
    }

    fn merged(a: &WriteIdMap, b: &WriteIdMap) -> WriteIdMap {
        let mut map = a.clone();
        map.merge(b);
        map
    }

    proptest! {
        #[test]
        fn merging_is_commutative_associative_and_idempotent(a in maps(), b in maps(), c in maps()) {
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
            prop_assert_eq!(merged(&a, &a), a.clone());
            prop_assert_eq!(a.regression(&merged(&a, &b)), None);
            prop_assert!(merged(&a, &b).dominates(&b));
        }

        #[test]
        fn any_json_object_is_answered(keys in prop::collection::vec(any::<String>(), 0..6), number in any::<f64>()) {
            let map = keys.into_iter().map(|key| (key, json!(number))).collect();
            if let Ok(map) = WriteIdMap::parse(&Value::Object(map)) {
                let text = serde_json::to_value(&map).unwrap();
                prop_assert_eq!(WriteIdMap::parse(&text), Ok(map));
            }
        }
    }
}
