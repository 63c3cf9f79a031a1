//! Whatever the bytes, every parser answers.

use proptest::prelude::*;
use serde_json::{Map, Value};
use vfs_core::blob_stage::{RelationKind, StageStatus};
use vfs_core::feed::{FeedItem, FeedPage, check_rows};
use vfs_core::replay::{Replay, ReplaySnapshot, check_page};
use vfs_core::{
    AttachRequest, Cursor, Operation, Position, PushRequest, ReconcileRequest, Timestamp, WriteIdMap,
};

/// Texts that parsers look for, between arbitrary ones.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => prop::sample::select(vec![
            "clientId", "operations", "cursor", "opId", "opType", "itemId", "replicaId", "writeId", "occurredAt",
            "parentId", "childId", "principalType", "principalId", "accessLevel", "relationKind", "requiredCursor",
            "requiredLastReconciledWriteIds", "lastReconciledWriteIds", "link_add", "acl_add", "user", "read", "file",
            "2026-02-14T20:00:00.000Z", "blob-stage:staged", "a", "a:b", "\0", "",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 12, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((texts(), inner), 0..12)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// What is read must be written and read again as the same.
fn answer(value: &Value) -> Result<(), TestCaseError> {
    if let Ok(operation) = Operation::parse(value) {
        let again = serde_json::to_value(&operation).expect("JSON");
        prop_assert_eq!(Operation::parse(&again), Ok(operation));
    }
    if let Ok(map) = WriteIdMap::parse(value) {
        let again = serde_json::to_value(&map).expect("JSON");
        prop_assert_eq!(WriteIdMap::parse(&again), Ok(map));
    }
    if let Ok(push) = PushRequest::parse(value) {
        prop_assert!(push.operations.len() <= 500);
    }
    let _ = ReconcileRequest::parse(value);
    let _ = AttachRequest::parse("stage", value);
    if let Ok(item) = serde_json::from_value::<FeedItem>(value.clone()) {
        let _ = (check_rows(std::slice::from_ref(&item)), check_page(None, &[item]));
    }
    let _ = serde_json::from_value::<FeedPage>(value.clone());
    if let Ok(snapshot) = serde_json::from_value::<ReplaySnapshot>(value.clone()) {
        let _ = Replay::from_snapshot(&snapshot);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_json_is_answered(value in values()) {
        answer(&value)?;
    }

    #[test]
    fn an_operation_with_one_field_replaced_is_answered(field in 0_usize..9, value in values()) {
        let mut operation = serde_json::json!({
            "opId": "d-1", "opType": "link_add", "itemId": "x", "replicaId": "d", "writeId": 1,
            "occurredAt": "2026-02-14T20:00:00.000Z", "parentId": "p", "childId": "x", "accessLevel": "read",
        });
        let (_, place) = operation.as_object_mut().unwrap().iter_mut().nth(field).unwrap();
        *place = value;
        answer(&operation)?;
        answer(&serde_json::json!({ "clientId": "d", "operations": [operation] }))?;
    }

    #[test]
    fn any_text_is_answered(text in texts()) {
        let _ = (text.parse::<Timestamp>(), Cursor::decode(&text), Position::parse(&text));
        let _ = (StageStatus::of_tag(&text), RelationKind::of_tag(&text), AttachRequest::parse(&text, &Value::Null));
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            answer(&value)?;
        }
    }
}
