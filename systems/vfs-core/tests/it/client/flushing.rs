//! Flushing: stale writes, lost replies, batches, times, what happens at once.

use std::error::Error;

use serde_json::json;
use vfs_core::client::{
    Begun, ClientError, LocalOperation, QueueError, Reply, ReplyBody, Request, STALE_RECOVERIES_MAX,
};
use vfs_core::testing::expect_stale_write_recovery_exhausted_violation;
use vfs_core::{AccessLevel, OpType, PrincipalType};

use super::ground::{Desk, Hub, echo, link, page, place, put, results, script, state_at, waiting};
use crate::scene::at;

/// A server that knows a write `1` of the client already.
fn hub_that_knows_desktop() -> Hub {
    let mut hub = Hub::with(&["c"]);
    let mut other = Desk::new("desktop", 10);
    other.queue(&put("p", "c").named("first"), 1);
    other.flush(|request| hub.answer(request)).unwrap();
    hub
}

#[test]
fn a_stale_write_is_renumbered_and_pushed_again() {
    let mut hub = hub_that_knows_desktop();
    let mut desk = Desk::new("desktop", 10);
    desk.queue(&put("q", "c").named("second"), 2);
    let outcome = desk.flush(|request| hub.answer(request)).unwrap();
    assert_eq!((outcome.pushed_operations, outcome.pull_pages), (1, 1), "recovery pulls are not counted");
    assert_eq!(desk.pushes(), [[1], [2]]);
    let snapshot = desk.client.snapshot();
    assert_eq!(serde_json::to_value(&snapshot.last_reconciled_write_ids).unwrap(), json!({ "desktop": 2 }));
    assert_eq!(snapshot.next_local_write_id.get(), 3);
    assert_eq!(desk.signatures(), [""; 0]);
}

#[test]
fn recovery_that_never_helps_ends_after_three_pushes_and_two_pulls_and_keeps_the_queue() {
    let mut desk = Desk::new("desktop", 10);
    desk.queue(&put("p", "c"), 1);
    let error = desk.flush(script(vec![], "staleWriteId")).unwrap_err();
    assert_eq!(error.to_string(), "push rejected one or more operations");
    let says = error.violation().expect("a guardrail").source().expect("a cause").to_string();
    assert_eq!(says, "stale write-id recovery exceeded max retry attempts without forward progress");
    expect_stale_write_recovery_exhausted_violation(&desk.told, 3, STALE_RECOVERIES_MAX);
    assert_eq!((desk.pushes().len(), desk.pulls(), desk.client.pending().len()), (3, 2, 1));
    assert!(error.details().is_some() && !error.next_action().is_empty());
}

#[test]
fn recovery_helps_also_where_there_is_nothing_to_read() {
    let mut desk = Desk::new("desktop", 10);
    desk.queue(&put("p", "c"), 1);
    let outcome = desk.flush(|request| match request {
        Request::Push { operations, .. } => {
            let is_stale = operations[0].operation.write_id.get() <= 7;
            let status = if is_stale { "staleWriteId" } else { "applied" };
            results(operations.iter().map(|queued| (queued.operation.op_id.to_string(), status.to_owned())))
        }
        Request::Pull { .. } => page(vec![], None, false, json!({ "desktop": 7 })),
        other => echo(other),
    });
    assert_eq!(outcome.unwrap().pushed_operations, 1);
    assert_eq!(desk.pushes(), [[1], [8]]);
}

#[test]
fn a_connection_lost_after_the_commit_is_harmless() {
    let mut hub = Hub::with(&["c"]);
    let mut desk = Desk::new("desktop", 10);
    desk.queue(&put("p", "c"), 1);
    let lost = desk.flush(|request| {
        let _ = hub.answer(request);
        Reply::failed("connection reset").body
    });
    assert_eq!(lost.unwrap_err(), ClientError::Transport("connection reset".to_owned()));
    assert_eq!(desk.client.pending().len(), 1);
    let outcome = desk.flush(|request| hub.answer(request)).unwrap();
    assert_eq!(outcome.pushed_operations, 1);
    assert_eq!(hub.model.operations().count(), 1, "it is not done twice");
    assert_eq!(desk.client.pending(), []);
}

#[test]
fn each_malformed_answer_to_a_push_keeps_the_queue_and_has_its_text() {
    let entry = json!({ "opId": "desktop-1", "status": "applied" });
    for (results, text) in [
        (json!({}), "transport returned invalid push response"),
        (json!([]), "transport returned mismatched push response size"),
        (json!([entry, entry]), "transport returned mismatched push response size"),
        (json!([7]), "transport returned invalid push result"),
        (json!([{ "opId": "desktop-1", "status": "done" }]), "transport returned invalid push result"),
        (
            json!([{ "opId": "other", "status": "applied" }]),
            "transport push response missing result for opId desktop-1",
        ),
    ] {
        let mut desk = Desk::new("desktop", 10);
        desk.queue(&put("p", "c"), 1);
        let error = desk.flush(|_| ReplyBody::Pushed(results.clone())).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!((desk.signatures().len(), desk.client.pending().len()), (0, 1));
    }
}

#[test]
fn answers_count_by_their_ids_in_whatever_order_they_come() {
    let mut desk = Desk::new("desktop", 10);
    desk.queue(&put("p", "c").named("a"), 1);
    desk.queue(&put("q", "c").named("b"), 1);
    let mut first = true;
    let outcome = desk.flush(|request| match request {
        Request::Push { .. } if std::mem::take(&mut first) => {
            let of = [("b", "applied"), ("a", "staleWriteId")];
            results(of.into_iter().map(|(op_id, status)| (op_id.to_owned(), status.to_owned())))
        }
        other => script(vec![], "applied")(other),
    });
    assert_eq!(outcome.unwrap().pushed_operations, 2);
    assert_eq!(desk.pushes(), [vec![1, 2], vec![3]]);
}

#[test]
fn two_flushes_at_once_make_one_push_and_other_work_waits() {
    let mut desk = Desk::new("desktop", 10);
    desk.queue(&put("p", "c"), 1);
    let begun = desk.client.flush();
    desk.begin(begun);
    assert_eq!(desk.client.flush(), Begun::Joined);
    assert_eq!(desk.client.sync(), Begun::Busy);
    assert_eq!(desk.client.rematerialize(), Begun::Busy);
    // What is queued meanwhile is pushed by the same flush.
    desk.queue(&put("q", "c"), 2);
    desk.run(script(vec![], "applied")).unwrap();
    assert_eq!(desk.pushes(), [[1], [2]]);
    assert_eq!(desk.client.pending(), []);
}

#[test]
fn a_flush_that_joins_late_has_its_operations_pushed_too() {
    let mut desk = Desk::new("desktop", 10);
    desk.queue(&put("p", "c"), 1);
    let begun = desk.client.flush();
    desk.begin(begun);
    let mut answer = script(vec![], "applied");
    desk.answer(answer(&desk.asked().unwrap().clone()));
    assert!(matches!(desk.asked(), Some(Request::Pull { .. })), "the pushing is over");
    desk.queue(&put("q", "c"), 2);
    assert_eq!(desk.client.flush(), Begun::Joined);
    let outcome = desk.run(answer).unwrap();
    assert_eq!((outcome.pushed_operations, outcome.pull_pages), (2, 2));
    assert_eq!((desk.pushes(), desk.client.pending().len()), (vec![vec![1], vec![2]], 0));
}

#[test]
fn more_than_a_push_may_carry_goes_in_batches() {
    let mut hub = Hub::with(&["c"]);
    let mut desk = Desk::new("desktop", 500);
    for number in 0..1_203 {
        desk.queue(&put(&format!("p{number}"), "c"), 1);
    }
    let outcome = desk.flush(|request| hub.answer(request)).unwrap();
    assert_eq!(outcome.pushed_operations, 1_203);
    let sizes: Vec<usize> = desk.pushes().iter().map(Vec::len).collect();
    assert_eq!(sizes, [500, 500, 203]);
    assert_eq!((desk.client.pending().len(), outcome.pulled_operations, outcome.pull_pages), (0, 1_203, 3));
}

#[test]
fn equal_times_are_lifted_over_the_cursor_in_the_order_of_the_queue() {
    let mut desk = Desk::new("desktop", 10);
    let pending = json!([waiting("c", 2, 5), waiting("b", 3, 5), waiting("a", 4, 5)]);
    desk.hydrate(&state_at(&place(5, "m"), json!({ "desktop": 1 }), pending, 5)).unwrap();
    let before = desk.export();
    let begun = desk.client.flush();
    desk.begin(begun);
    let Some(Request::Push { operations, .. }) = desk.asked() else { panic!("a push") };
    let pushed: Vec<_> = operations
        .iter()
        .map(|queued| (queued.operation.op_id.as_str().to_owned(), queued.operation.occurred_at))
        .collect();
    let expected = [("c", 6), ("b", 7), ("a", 8)].map(|(id, millisecond)| (id.to_owned(), at(millisecond)));
    assert_eq!(pushed, expected);
    desk.answer(Reply::failed("offline").body);
    desk.ended().unwrap().unwrap_err();
    assert_eq!(desk.export(), before, "lifted times are kept only once the server has answered");
}

#[test]
fn the_number_of_the_next_write_is_above_what_waits_and_what_was_reconciled() {
    let pending = json!([waiting("x", 7, 9), waiting("y", 12, 9)]);
    for (ids, expected) in [(json!({ "desktop": 20, "mobile": 99 }), 21), (json!({ "desktop": 3 }), 13)] {
        let mut desk = Desk::new("desktop", 10);
        desk.hydrate(&state_at(&place(5, "m"), ids, pending.clone(), 1)).unwrap();
        assert_eq!(desk.client.snapshot().next_local_write_id.get(), expected);
        let queued = desk.client.queue_local_operation(&put("p", "c").named("z"), at(9)).unwrap();
        assert_eq!(queued.operation.write_id.get(), expected);
    }
}

#[test]
fn any_text_is_an_id_of_an_operation() {
    let mut hub = Hub::with(&["c"]);
    let mut desk = Desk::new("desktop", 10);
    let names = ["a:b", "a/b", "@x#y", "désk\u{1f30a}", "spaces in it", "%00"];
    for name in names {
        assert_eq!(desk.queue(&put(name, "c").named(name), 1), name);
    }
    desk.flush(|request| hub.answer(request)).unwrap();
    let again = desk.restarted();
    assert_eq!(again.client.export_state(), desk.client.export_state());
    assert_eq!(hub.model.operations().count(), names.len());
}

#[test]
fn each_reason_not_to_queue_has_its_text_and_changes_nothing() {
    let link = || put("p", "c");
    let grant = || LocalOperation::grant("c", PrincipalType::User, "bob", AccessLevel::Read);
    let cases: [(LocalOperation, &str); 12] = [
        (LocalOperation { item_id: " ".to_owned(), ..link() }, "itemId is required"),
        (link().named(" "), "opId is required"),
        (link().named("known"), "opId known is already queued"),
        (
            LocalOperation { principal_type: None, ..grant() },
            "principalType and principalId are required for acl operations",
        ),
        (
            LocalOperation { principal_id: Some("\t".to_owned()), ..grant() },
            "principalType and principalId are required for acl operations",
        ),
        (LocalOperation { access_level: None, ..grant() }, "accessLevel is required for acl_add"),
        (
            LocalOperation { parent_id: None, ..link() },
            "parentId and childId are required for link operations",
        ),
        (
            LocalOperation { child_id: None, ..link() },
            "parentId and childId are required for link operations",
        ),
        (LocalOperation { child_id: Some("d".to_owned()), ..link() }, "link childId must match itemId"),
        (put("c", "c"), "link parentId must not match itemId"),
        (encrypted(Some(""), Some(1)), "encryptedPayload must be a non-empty string"),
        (encrypted(Some("AA=="), None), "keyEpoch is required when encryptedPayload is provided"),
    ];
    let mut desk = Desk::new("desktop", 10);
    desk.queue(&link().named("known"), 1);
    let before = desk.export();
    for (local, text) in cases {
        let error = desk.client.queue_local_operation(&local, at(1)).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(desk.export(), before);
    }
    let long = desk.client.queue_local_operation(&put("p", &"x".repeat(2_000)), at(1)).unwrap_err();
    assert!(matches!(long, QueueError::Id { field: "itemId", .. }), "{long}");
}

fn encrypted(payload: Option<&str>, key_epoch: Option<u64>) -> LocalOperation {
    let mut local = put("p", "c");
    local.envelope.encrypted_payload = payload.map(str::to_owned);
    local.envelope.key_epoch = key_epoch;
    local
}

#[test]
fn what_goes_along_encrypted_survives_export_and_hydrate_and_is_sent() {
    let mut desk = Desk::new("desktop", 10);
    let mut local = encrypted(Some("AAAA"), Some(3));
    local.envelope.encryption_nonce = Some("BBBB".to_owned());
    desk.queue(&local, 1);
    let again = desk.restarted();
    assert_eq!(again.client.pending(), desk.client.pending());
    let exported = &desk.export()["pendingOperations"][0];
    assert_eq!(
        (&exported["encryptedPayload"], &exported["keyEpoch"], &exported["encryptionNonce"]),
        (&json!("AAAA"), &json!(3), &json!("BBBB"))
    );
}

#[test]
fn an_id_may_be_used_again_once_the_server_has_its_operation() {
    let mut desk = Desk::new("desktop", 10);
    desk.queue(&put("p", "c").named("x"), 1);
    let again = desk.client.queue_local_operation(&put("q", "c").named("x"), at(1)).unwrap_err();
    assert_eq!(again.to_string(), "opId x is already queued");
    desk.flush(script(vec![], "applied")).unwrap();
    desk.queue(&put("q", "c").named("x"), 1);
    let mut restarted = desk.restarted();
    let again = restarted.client.queue_local_operation(&put("r", "c").named("x"), at(1));
    assert!(matches!(again, Err(QueueError::AlreadyQueued(_))));
}

#[test]
fn a_time_that_is_none_becomes_now() {
    let mut desk = Desk::new("desktop", 10);
    let local = LocalOperation { occurred_at: Some("whenever".to_owned()), ..put("p", "c") };
    assert_eq!(desk.client.queue_local_operation(&local, at(7)).unwrap().operation.occurred_at, at(7));
    assert_eq!(desk.client.pending()[0].operation.op_id.as_str(), "desktop-1");
    assert_eq!(desk.client.pending()[0].operation.op_type(), OpType::LinkAdd);
}

#[test]
fn a_background_flush_drains_what_a_failed_one_left() {
    let mut desk = Desk::new("desktop", 10);
    assert_eq!(
        desk.client.start_background_flush(0).unwrap_err().to_string(),
        "intervalMs must be a positive integer"
    );
    assert_eq!(desk.client.tick(), []);
    assert!(desk.client.start_background_flush(50).unwrap());
    assert!(!desk.client.start_background_flush(70).unwrap(), "a second start does nothing");
    assert_eq!(desk.client.background_interval_ms(), Some(50));
    desk.queue(&put("p", "c"), 1);
    let effects = desk.client.tick();
    desk.take(effects);
    assert_eq!(desk.client.tick(), [], "one at a time");
    desk.answer(Reply::failed("offline").body);
    assert_eq!(desk.ended().unwrap().unwrap_err().to_string(), "offline");
    assert_eq!(desk.client.pending().len(), 1);
    let effects = desk.client.tick();
    desk.take(effects);
    assert!(desk.client.stop_background_flush(), "what is under way goes on");
    desk.run(script(vec![], "applied")).unwrap();
    assert_eq!(desk.client.pending(), []);
    assert!(!desk.client.stop_background_flush());
    assert_eq!(desk.client.tick(), [], "nothing after the stop");
}

#[test]
fn a_lifted_write_is_seen_by_whoever_reads_later() {
    let mut hub = hub_that_knows_desktop();
    hub.now = at(1_000);
    let mut observer = Desk::new("mobile", 10);
    observer.sync(|request| hub.answer(request)).unwrap();
    let mut desk = Desk::new("desktop", 10);
    desk.queue(&put("late", "c").named("late"), -5_000);
    desk.flush(|request| hub.answer(request)).unwrap();
    let outcome = observer.sync(|request| hub.answer(request)).unwrap();
    assert_eq!(outcome.pulled_operations, 1);
    assert!(observer.client.snapshot().links.iter().any(|link| link.parent_id == "late"));
}

#[test]
fn replies_to_older_requests_and_second_replies_are_not_looked_at() {
    let mut desk = Desk::new("desktop", 10);
    let begun = desk.client.sync();
    let Begun::Now(effects) = begun else { panic!("begun") };
    let [vfs_core::client::Effect::Send { id, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let first = page(vec![link("a", 1)], None, true, json!({}));
    assert!(!desk.client.reply(*id, Reply::of(first.clone())).is_empty());
    let before = desk.export();
    assert_eq!(desk.client.reply(*id, Reply::of(first)), []);
    assert_eq!(desk.export(), before);
    assert!(desk.client.is_busy());
}

#[test]
fn a_reply_of_another_kind_is_refused() {
    let mut desk = Desk::new("desktop", 10);
    let begun = desk.client.sync();
    desk.begin(begun);
    desk.answer(ReplyBody::Pushed(json!([])));
    assert_eq!(desk.ended().unwrap().unwrap_err(), ClientError::OtherRequest);
    let ack = Request::Reconcile {
        client_id: desk.client.options().client_id.clone(),
        state: vfs_core::ReconcileState {
            cursor: place(1, "a"),
            last_reconciled_write_ids: Default::default(),
        },
    };
    assert!(matches!(echo(&ack), ReplyBody::Reconciled { .. }));
}
