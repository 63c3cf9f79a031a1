//! Replies as bytes: each malformed one has its text, and none of any kind is a panic.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use vfs_core::client::{Failure, ReplyBody, Request, reply};
use vfs_core::{Cursor, ReconcileState};

use super::ground::{Desk, Hub, put};
use crate::scene::{at, client, cursor};

fn text(body: ReplyBody) -> String {
    match body {
        ReplyBody::Failed(Failure::Malformed(error)) => error.to_string(),
        ReplyBody::Failed(Failure::Transport(text)) => text,
        other => panic!("it was read: {other:?}"),
    }
}

fn pull() -> Request {
    Request::Pull { cursor: None, limit: 10 }
}

fn push() -> Request {
    Request::Push { client_id: client("desktop"), operations: vec![] }
}

fn reconcile() -> Request {
    let state = ReconcileState { cursor: cursor(1, "a"), last_reconciled_write_ids: Default::default() };
    Request::Reconcile { client_id: client("desktop"), state }
}

fn says(request: &Request, value: &Value) -> String {
    text(reply::read(request, 200, &serde_json::to_vec(value).unwrap()))
}

fn item() -> Value {
    json!({
        "opId": "n", "itemId": "c", "opType": "link_add", "principalType": null, "principalId": null,
        "accessLevel": null, "parentId": "p", "childId": "c", "actorId": null, "sourceTable": "vfs_links",
        "sourceId": "l", "occurredAt": at(1),
    })
}

fn page(items: Value) -> Value {
    json!({ "items": items, "nextCursor": null, "hasMore": false, "lastReconciledWriteIds": {} })
}

#[test]
fn what_is_no_json_and_what_is_no_success_has_its_text() {
    let read = |status: u16, body: &[u8]| text(reply::read(&pull(), status, body));
    assert_eq!(read(200, b"<html>"), "transport returned non-JSON response");
    assert_eq!(read(502, b"bad gateway"), "transport returned non-JSON response");
    assert_eq!(read(409, br#"{"error":"Writes are frozen"}"#), "Writes are frozen");
    assert_eq!(read(500, br#"{"error":" "}"#), "request failed with status 500");
    assert_eq!(read(418, b"null"), "request failed with status 418");
    let cursor = cursor(4, "d");
    let behind = json!({
        "error": "x", "code": "crdt_rematerialization_required", "oldestAvailableCursor": cursor.encode(),
    });
    assert_eq!(
        reply::read(&pull(), 409, &serde_json::to_vec(&behind).unwrap()),
        ReplyBody::Failed(Failure::RematerializationRequired { oldest_available: Some(cursor) })
    );
}

#[test]
fn each_malformed_answer_to_a_push_has_its_text() {
    let entry = |op_id: Value, status: &str| json!({ "results": [{ "opId": op_id, "status": status }] });
    assert_eq!(says(&push(), &json!([])), "transport returned invalid push response payload");
    assert_eq!(says(&push(), &json!({ "results": 1 })), "transport returned invalid push response results");
    assert_eq!(
        says(&push(), &json!({ "results": [null] })),
        "transport returned invalid push result at index 0"
    );
    assert_eq!(says(&push(), &entry(json!(1), "applied")), "transport returned invalid results[0].opId");
    assert_eq!(says(&push(), &entry(json!("x"), "done")), "transport returned invalid results[0].status");
}

#[test]
fn each_malformed_page_has_its_text() {
    assert_eq!(says(&pull(), &json!(null)), "transport returned invalid pull response payload");
    assert_eq!(says(&pull(), &json!({ "items": {} })), "transport returned invalid pull response items");
    assert_eq!(says(&pull(), &page(json!([item(), 7]))), "transport returned invalid items[1]");
    for field in item().as_object().unwrap().keys() {
        let mut absent = item();
        absent.as_object_mut().unwrap().remove(field);
        let mut wrong = item();
        wrong[field] = json!(7);
        for bad in [absent, wrong] {
            assert_eq!(
                says(&pull(), &page(json!([bad]))),
                format!("transport returned invalid items[0].{field}")
            );
        }
    }
    for (field, value) in [("occurredAt", "soon"), ("opType", "move"), ("accessLevel", "all"), ("opId", " ")]
    {
        let mut bad = item();
        bad[field] = json!(value);
        assert_eq!(
            says(&pull(), &page(json!([bad]))),
            format!("transport returned invalid items[0].{field}")
        );
    }
    for (field, value) in [("parentId", json!(null)), ("childId", json!("d")), ("parentId", json!("c"))] {
        let mut bad = item();
        bad[field] = value;
        assert_eq!(says(&pull(), &page(json!([bad]))), "transport returned invalid link payload at items[0]");
    }
    for (field, value) in [("nextCursor", json!("?")), ("nextCursor", json!(1)), ("hasMore", json!("no"))] {
        let mut bad = page(json!([]));
        bad[field] = value;
        assert_eq!(says(&pull(), &bad), format!("transport returned invalid {field}"));
    }
}

#[test]
fn each_malformed_acknowledgement_has_its_text() {
    let good =
        json!({ "clientId": "desktop", "cursor": cursor(1, "a").encode(), "lastReconciledWriteIds": {} });
    let body = serde_json::to_vec(&good).unwrap();
    assert!(matches!(reply::read(&reconcile(), 200, &body), ReplyBody::Reconciled { .. }));
    for (field, value, text) in [
        ("clientId", json!(1), "transport returned invalid reconcile response payload"),
        ("cursor", json!("?"), "transport returned invalid reconcile cursor"),
        ("clientId", json!("mobile"), "transport returned reconcile response for mismatched clientId"),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        assert_eq!(says(&reconcile(), &bad), text);
    }
    assert_eq!(says(&reconcile(), &json!("x")), "transport returned invalid reconcile response payload");
}

#[test]
fn clients_converge_over_the_wire_on_every_operation_that_they_receive() {
    let mut hub = Hub::with(&["c"]);
    let (mut desktop, mut mobile) = (Desk::new("desktop", 1), Desk::new("mobile", 2));
    desktop.queue(&put("branch", "c").named("early"), 1);
    mobile.queue(&vfs_core::client::LocalOperation::link(vfs_core::OpType::LinkRemove, "branch", "c"), 2);
    mobile.flush(|request| hub.answer(request)).unwrap();
    // The late push lands after what mobile has read, so that mobile receives it.
    desktop.flush(|request| hub.answer(request)).unwrap();
    let outcome = mobile.sync(|request| hub.answer(request)).unwrap();
    assert_eq!(outcome.pulled_operations, 1);
    assert_eq!(mobile.client.snapshot().links, desktop.client.snapshot().links);
    assert_eq!(mobile.client.snapshot().links.len(), 1);
}

#[test]
fn a_queue_taken_up_after_a_failed_sync_goes_on_over_the_wire() {
    let mut hub = Hub::with(&["c"]);
    let mut desk = Desk::new("desktop", 5);
    desk.queue(&put("p", "c"), 1);
    let begun = desk.client.sync();
    desk.begin(begun);
    let body = reply::read(desk.asked().unwrap(), 200, br#"{"items":[],"nextCursor":null,"hasMore":true}"#);
    desk.answer(body);
    let error = desk.ended().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "transport returned hasMore=true with an empty pull page");
    let mut again = desk.restarted();
    again.flush(|request| hub.answer(request)).unwrap();
    assert_eq!(hub.model.operations().count(), 1);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(Value::from("acl_add")),
        Just(Value::from("link_add")),
        Just(Value::from(Cursor { changed_at: at(1), change_id: "a".to_owned() }.encode())),
    ];
    leaf.prop_recursive(4, 40, 12, |inner| {
        let name = prop_oneof![
            Just("items".to_owned()),
            Just("nextCursor".to_owned()),
            Just("hasMore".to_owned()),
            Just("lastReconciledWriteIds".to_owned()),
            Just("results".to_owned()),
            Just("opId".to_owned()),
            Just("opType".to_owned()),
            Just("clientId".to_owned()),
            Just("cursor".to_owned()),
            Just("replaySnapshot".to_owned()),
            Just("containerClocks".to_owned()),
            Just("pendingOperations".to_owned()),
            Just("nextLocalWriteId".to_owned()),
            "\\PC{0,8}",
        ];
        let pairs = prop::collection::vec((name, inner.clone()), 0..12);
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Value::from),
            pairs.prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A good page with one place replaced by anything.
fn nearly_a_page() -> impl Strategy<Value = Value> {
    (any_json(), 0_usize..16).prop_map(|(value, place)| {
        let mut page = page(json!([item()]));
        let fields: Vec<String> = item().as_object().unwrap().keys().cloned().collect();
        match fields.get(place) {
            Some(field) => page["items"][0][field.as_str()] = value,
            None => page[["items", "nextCursor", "hasMore", "lastReconciledWriteIds"][place % 4]] = value,
        }
        page
    })
}

proptest! {
    #[test]
    fn any_json_is_answered_and_fails_closed(value in prop_oneof![any_json(), nearly_a_page()], status in 100_u16..600) {
        let body = serde_json::to_vec(&value).unwrap();
        for request in [pull(), push(), reconcile(), Request::Snapshot] {
            let _ = reply::read(&request, status, &body);
            let mut desk = Desk::new("desktop", 10);
            desk.queue(&put("p", "c"), 1);
            let begun = if matches!(request, Request::Push { .. }) { desk.client.flush() } else { desk.client.sync() };
            desk.begin(begun);
            let read = reply::read(desk.asked().unwrap(), 200, &body);
            desk.answer(read);
        }
        let mut desk = Desk::new("desktop", 10);
        let _ = desk.hydrate(&value);
    }

    #[test]
    fn any_bytes_are_answered(body in any::<Vec<u8>>(), status in any::<u16>()) {
        for request in [pull(), push(), reconcile(), Request::Snapshot] {
            let _ = reply::read(&request, status, &body);
        }
    }
}
