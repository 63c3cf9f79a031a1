//! Reading and acknowledging: every lie is told once, thrown with its text, and changes nothing.

use serde_json::{Value, json};
use vfs_core::client::{ClientError, ReplyBody, Request};
use vfs_core::guardrail::Stage;
use vfs_core::testing::{
    CursorRegression, PageInvariant, WriteRegression, expect_exact_guardrail_signatures,
    expect_last_write_id_regression_violation, expect_pull_cursor_regression_violation,
    expect_pull_duplicate_op_replay_violation, expect_pull_page_invariant_violation,
    expect_reconcile_cursor_regression_violation,
};

use super::ground::{Desk, Hub, link, page, place, put, script, state_at};

/// A client that has read up to 5 and knows write 4 of the desktop and 9 of the mobile.
fn reader() -> Desk {
    let mut desk = Desk::new("desktop", 2);
    desk.hydrate(&state_at(&place(5, "m"), json!({ "desktop": 4, "mobile": 9 }), json!([]), 5)).unwrap();
    desk
}

fn thrown(desk: &mut Desk, pages: Vec<ReplyBody>) -> String {
    desk.sync(script(pages, "applied")).unwrap_err().to_string()
}

#[test]
fn an_empty_page_with_more_changes_nothing() {
    let mut desk = reader();
    let before = desk.export();
    assert_eq!(
        thrown(&mut desk, vec![page(vec![], None, true, json!({}))]),
        "transport returned hasMore=true with an empty pull page"
    );
    let expected = PageInvariant { has_more: Some(true), items_length: Some(0) };
    expect_pull_page_invariant_violation(&desk.told, expected);
    assert_eq!(desk.export(), before);
}

#[test]
fn a_next_cursor_that_is_not_the_tail_changes_nothing() {
    let mut desk = reader();
    let before = desk.export();
    let lie = page(vec![link("n", 6)], Some(place(7, "z")), true, json!({}));
    assert_eq!(
        thrown(&mut desk, vec![lie]),
        "transport returned nextCursor that does not match pull page tail"
    );
    expect_pull_page_invariant_violation(&desk.told, PageInvariant::default());
    let details = desk.told[0].details().unwrap();
    assert_eq!((&details["nextCursorChangeId"], &details["pageCursorChangeId"]), (&json!("z"), &json!("n")));
    assert_eq!(desk.export(), before);
}

#[test]
fn a_replayed_operation_is_refused_and_the_page_before_it_stays() {
    let mut desk = reader();
    let first = page(vec![link("n", 6)], Some(place(6, "n")), true, json!({}));
    let second = page(vec![link("n", 6), link("o", 7)], None, false, json!({}));
    assert_eq!(thrown(&mut desk, vec![first, second]), "transport replayed opId n during pull pagination");
    expect_pull_duplicate_op_replay_violation(&desk.told, "n");
    assert_eq!(desk.client.cursor(), Some(&place(6, "n")), "the first page stays, whole");
    assert_eq!(desk.kept.as_ref(), Some(&desk.client.export_state()), "and it was kept");
}

#[test]
fn a_later_page_that_leads_back_is_refused_and_the_page_before_it_stays() {
    let mut desk = reader();
    let first = page(vec![link("n", 6)], None, true, json!({}));
    assert_eq!(
        thrown(&mut desk, vec![first, page(vec![link("b", 2)], None, false, json!({}))]),
        "transport returned regressing sync cursor"
    );
    let expected = CursorRegression {
        previous_changed_at: Some("2026-02-14T12:00:00.006Z"),
        previous_change_id: Some("n"),
        incoming_changed_at: Some("2026-02-14T12:00:00.002Z"),
        incoming_change_id: Some("b"),
    };
    expect_pull_cursor_regression_violation(&desk.told, expected);
    assert_eq!(desk.client.cursor(), Some(&place(6, "n")));
}

#[test]
fn an_empty_page_with_a_lower_cursor_leads_back() {
    let mut desk = reader();
    let lie = page(vec![], Some(place(4, "m")), false, json!({}));
    assert_eq!(thrown(&mut desk, vec![lie]), "transport returned regressing sync cursor");
    expect_pull_cursor_regression_violation(&desk.told, CursorRegression::default());
}

#[test]
fn the_writes_of_no_replica_fall_not_even_from_page_to_page() {
    let mut desk = reader();
    let pages = vec![
        page(vec![link("n", 6)], None, true, json!({ "desktop": 4, "mobile": 11 })),
        page(vec![link("o", 7)], None, false, json!({ "desktop": 4, "mobile": 10 })),
    ];
    assert_eq!(thrown(&mut desk, pages), "transport regressed lastReconciledWriteIds for replica mobile");
    let expected = WriteRegression {
        stage: Stage::Pull,
        replica_id: "mobile",
        previous_write_id: Some(11),
        incoming_write_id: Some(10),
    };
    expect_last_write_id_regression_violation(&desk.told, expected);
}

#[test]
fn what_no_guardrail_is_about_has_its_text_and_is_not_told() {
    let no_id = vfs_core::FeedItem { op_id: " ".to_owned(), ..link("n", 6) };
    let no_time = vfs_core::FeedItem { occurred_at: "soon".to_owned(), ..link("n", 6) };
    let no_parent = vfs_core::FeedItem { parent_id: None, ..link("n", 6) };
    for (items, ids, text) in [
        (vec![link("m", 5)], json!({}), "CRDT feed item 0 is not strictly newer than local cursor"),
        (vec![no_id], json!({}), "transport returned item with missing opId"),
        (vec![no_time], json!({}), "transport returned item with invalid occurredAt"),
        (vec![no_parent], json!({}), "CRDT feed item 0 is missing link fields"),
        (
            vec![link("n", 6)],
            json!([]),
            "lastReconciledWriteIds must be an object map of replicaId -> writeId",
        ),
        (
            vec![link("n", 6)],
            json!({ "desktop": 9_007_199_254_740_991_u64 }),
            "transport returned a last write id after which there is none",
        ),
    ] {
        let mut desk = reader();
        let before = desk.export();
        assert_eq!(thrown(&mut desk, vec![page(items, None, false, ids)]), text);
        assert_eq!((desk.signatures().len(), desk.export()), (0, before));
    }
}

#[test]
fn nothing_is_taken_that_would_make_an_export_that_cannot_be_taken_up() {
    // A page that ends under the id of an operation that waits.
    let mut desk = reader();
    desk.queue(&put("p", "c").named("waits"), 1);
    let before = desk.export();
    assert_eq!(
        thrown(&mut desk, vec![page(vec![link("waits", 6)], None, false, json!({}))]),
        "transport returned an item under the opId waits of an operation that waits"
    );
    assert_eq!(desk.export(), before);
    let boundary = desk.client.queue_local_operation(&put("p", "c").named("m"), crate::scene::at(1));
    assert_eq!(boundary.unwrap_err().to_string(), "opId m is that of the last item that was read");
    // Replicas that were known and others that are new, more than an export may have.
    let many: serde_json::Map<_, _> = (0..512).map(|number| (format!("r{number}"), json!(1))).collect();
    assert_eq!(
        thrown(&mut desk, vec![page(vec![link("n", 6)], None, false, Value::Object(many.clone()))]),
        "lastReconciledWriteIds exceeds max entries (512)"
    );
    let error = desk.sync(acknowledged(Some(place(6, "n")), Value::Object(many))).unwrap_err();
    assert_eq!(error.to_string(), "lastReconciledWriteIds exceeds max entries (512)");
    desk.restarted();
}

#[test]
fn a_page_with_a_bad_item_in_its_middle_is_applied_not_even_in_part() {
    let mut desk = reader();
    let before = desk.export();
    let items = vec![link("n", 6), link("o", 6), link("o2", 4), link("p", 7)];
    assert_eq!(
        thrown(&mut desk, vec![page(items, None, false, json!({}))]),
        "CRDT feed item 2 is not strictly newer than local cursor"
    );
    assert_eq!(desk.export(), before);
}

#[test]
fn after_a_bad_page_an_honest_server_brings_the_client_where_it_would_be() {
    let mut hub = Hub::with(&["c"]);
    let mut writer = Desk::new("mobile", 10);
    for number in 0..7 {
        writer.queue(&put(&format!("p{number}"), "c"), 1);
    }
    writer.flush(|request| hub.answer(request)).unwrap();
    // Every other cycle fails, in its second page, of a duplicate.
    let mut desk = Desk::new("desktop", 2);
    let mut failures = 0;
    loop {
        let mut seen = None;
        let ended = desk.sync(|request| match (hub.answer(request), request) {
            (ReplyBody::Pulled(mut page), Request::Pull { .. }) if failures < 3 => {
                if let Some(first) = seen.take() {
                    let mut items = page.items.to_vec();
                    items.insert(0, first);
                    page.items = items.into();
                } else {
                    seen = page.items.get(0).map(|item| item.to_feed_item());
                }
                ReplyBody::Pulled(page)
            }
            (body, _) => body,
        });
        match ended {
            Ok(_) => break,
            Err(error) => {
                assert!(error.to_string().starts_with("transport replayed opId"));
                failures += 1;
            }
        }
    }
    assert_eq!(failures, 3);
    expect_exact_guardrail_signatures(&desk.told, &["pull:pullDuplicateOpReplay"; 3]);
    writer.sync(|request| hub.answer(request)).unwrap();
    let (got, expected) = (desk.client.snapshot(), writer.client.snapshot());
    assert_eq!((got.links, got.container_clocks), (expected.links, expected.container_clocks));
    // Windows of containers: each change is listed once, strictly forward.
    let mut after = None;
    let mut listed = Vec::new();
    loop {
        let part = desk.client.list_changed_containers(after.as_ref(), 3).unwrap();
        listed.extend(part.items.iter().map(|clock| clock.container_id.clone()));
        assert!(part.items.iter().all(|clock| after.as_ref().is_none_or(|after| clock.changed > *after)));
        after = part.next_cursor.or(after);
        if !part.has_more {
            break;
        }
    }
    assert_eq!(listed, ["p0", "p1", "p2", "p3", "p4", "p5", "p6"]);
    assert_eq!(
        desk.client.list_changed_containers(None, 501).unwrap_err().to_string(),
        "limit must be an integer between 1 and 500"
    );
}

fn acknowledged(cursor: Option<vfs_core::Cursor>, ids: Value) -> impl FnMut(&Request) -> ReplyBody {
    let mut pages = script(vec![page(vec![link("n", 6)], None, false, json!({}))], "applied");
    move |request| match request {
        Request::Reconcile { .. } => ReplyBody::Reconciled { cursor: cursor.clone(), write_ids: ids.clone() },
        other => pages(other),
    }
}

#[test]
fn an_acknowledgement_that_leads_back_is_refused_and_the_pages_stay() {
    let mut desk = reader();
    let error = desk.sync(acknowledged(Some(place(3, "a")), json!({}))).unwrap_err();
    assert_eq!(error.to_string(), "transport reconcile regressed sync cursor");
    let expected = CursorRegression { incoming_change_id: Some("a"), ..CursorRegression::default() };
    expect_reconcile_cursor_regression_violation(&desk.told, expected);
    assert_eq!(desk.client.cursor(), Some(&place(6, "n")));

    let mut desk = reader();
    let error = desk.sync(acknowledged(Some(place(6, "n")), json!({ "mobile": 8 }))).unwrap_err();
    assert_eq!(error.to_string(), "transport regressed lastReconciledWriteIds for replica mobile");
    let expected = WriteRegression {
        stage: Stage::Reconcile,
        replica_id: "mobile",
        previous_write_id: Some(9),
        incoming_write_id: Some(8),
    };
    expect_last_write_id_regression_violation(&desk.told, expected);
    // The next cycle is honest: the correction is taken.
    desk.sync(acknowledged(Some(place(6, "n")), json!({ "mobile": 12 }))).unwrap_err();
    desk.sync(script(vec![], "applied")).unwrap();
}

#[test]
fn a_malformed_acknowledgement_has_its_text() {
    for (cursor, ids, text) in [
        (None, json!({}), "transport returned invalid reconcile cursor"),
        (
            Some(place(6, "n")),
            json!({ "a:b": 1 }),
            "lastReconciledWriteIds contains invalid replicaId (must be non-empty, <=128 chars, and must not include \":\")",
        ),
    ] {
        let mut desk = reader();
        assert_eq!(desk.sync(acknowledged(cursor, ids)).unwrap_err().to_string(), text);
        assert_eq!(desk.signatures(), [""; 0]);
    }
}

#[test]
fn an_acknowledged_cursor_never_skips_what_was_not_read() {
    let mut desk = reader();
    let ahead = acknowledged(Some(place(90, "z")), json!({ "desktop": 31, "mobile": 9 }));
    desk.sync(ahead).unwrap();
    assert_eq!(desk.client.cursor(), Some(&place(6, "n")), "what lies between may be new here");
    let snapshot = desk.client.snapshot();
    assert_eq!(serde_json::to_value(&snapshot.last_reconciled_write_ids).unwrap()["desktop"], json!(31));
    assert_eq!(snapshot.next_local_write_id.get(), 32);
}

#[test]
fn failures_of_pull_and_reconcile_in_turn_stay_apart_and_are_told_once_each() {
    let mut desk = reader();
    for round in 0..4 {
        let pull = vec![page(vec![], None, true, json!({}))];
        desk.sync(script(pull, "applied")).unwrap_err();
        let item = link(&format!("n{round}"), 10 + round);
        let mut pages = script(vec![page(vec![item], None, false, json!({}))], "applied");
        let error = desk.sync(|request| match request {
            Request::Reconcile { .. } => {
                ReplyBody::Reconciled { cursor: Some(place(1, "a")), write_ids: json!({}) }
            }
            other => pages(other),
        });
        assert!(matches!(error, Err(ClientError::Guardrail(_))));
    }
    let turn = ["pull:pullPageInvariantViolation", "reconcile:reconcileCursorRegression"];
    expect_exact_guardrail_signatures(&desk.told, &[turn, turn, turn, turn].concat());
    assert_eq!(desk.client.cursor(), Some(&place(13, "n3")));
}

#[test]
fn every_guardrail_error_says_what_to_do() {
    let mut desk = reader();
    let error = desk.sync(script(vec![page(vec![], None, true, json!({}))], "applied")).unwrap_err();
    let violation = error.violation().expect("a guardrail");
    assert_eq!((violation.stage(), error.signature()), (Stage::Pull, Some(violation.signature())));
    assert_eq!(error.details(), violation.details());
    assert!(error.next_action().contains("export the state"));
}
