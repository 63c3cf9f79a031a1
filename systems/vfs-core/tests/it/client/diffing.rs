//! What two exports differ in, and whether they may.

use serde_json::json;
use vfs_core::client::diff::{Progress, diff};
use vfs_core::client::{ExportedState, ReplyBody, Request};

use super::ground::{Desk, Hub, link, page, place, put, script, state_at, waiting};
use crate::scene::at;

/// Something done to an export.
type Change = Box<dyn Fn(&mut ExportedState)>;

fn names(before: &ExportedState, after: &ExportedState) -> Vec<String> {
    let diff = diff(before, after);
    assert_eq!(diff.breaches, [""; 0]);
    diff.progress
        .iter()
        .map(|progress| serde_json::to_value(progress).unwrap()["progress"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_failed_attempt_differs_in_nothing_and_whole_pages_before_it_are_progress() {
    let mut desk = Desk::new("desktop", 1);
    let before = desk.client.export_state();
    let lie = || page(vec![], None, true, json!({}));
    desk.sync(script(vec![lie()], "applied")).unwrap_err();
    assert!(diff(&before, &desk.client.export_state()).is_empty());
    let pages = vec![page(vec![link("n", 6)], None, true, json!({ "mobile": 2 })), lie()];
    desk.sync(script(pages, "applied")).unwrap_err();
    let after = desk.client.export_state();
    assert_eq!(names(&before, &after), ["pagesRead", "writeLearned"]);
    assert_eq!(diff(&before, &after).progress[0], Progress::PagesRead { from: None, to: place(6, "n") });
}

#[test]
fn what_becomes_of_the_queue_is_progress() {
    let mut hub = Hub::with(&["c"]);
    let mut desk = Desk::new("desktop", 10);
    let empty = desk.client.export_state();
    desk.queue(&put("p", "c"), 1);
    desk.queue(&put("p", "not-mine"), 1);
    let queued = desk.client.export_state();
    assert_eq!(names(&empty, &queued), ["queued", "queued", "numberMoved"]);
    desk.flush(|request| hub.answer(request)).unwrap_err();
    let flushed = desk.client.export_state();
    assert_eq!(names(&queued, &flushed), ["pagesRead", "writeLearned", "settled", "rejected"]);
    desk.client.retry_rejected("desktop-2").unwrap();
    assert_eq!(names(&flushed, &desk.client.export_state()), ["retried", "numberMoved"]);
    desk.flush(|request| hub.answer(request)).unwrap_err();
    let again = desk.client.export_state();
    desk.client.undo_rejected("desktop-2").unwrap();
    assert_eq!(names(&again, &desk.client.export_state()), ["undone"]);
}

#[test]
fn a_rebase_is_progress() {
    let mut desk = Desk::new("desktop", 10);
    desk.hydrate(&state_at(&place(5, "m"), json!({}), json!([waiting("x", 1, 9)]), 2)).unwrap();
    let before = desk.client.export_state();
    let mut stale = script(vec![], "staleWriteId");
    let mut pulls = 0;
    desk.flush(|request| match request {
        Request::Pull { .. } => {
            pulls += 1;
            if pulls == 1 {
                stale(request)
            } else {
                ReplyBody::Failed(vfs_core::client::Failure::Transport("x".to_owned()))
            }
        }
        other => stale(other),
    })
    .unwrap_err();
    assert_eq!(names(&before, &desk.client.export_state()), ["rebased", "numberMoved"]);
}

#[test]
fn everything_else_is_a_breach() {
    let mut desk = Desk::new("desktop", 10);
    let pending = json!([waiting("x", 5, 9), waiting("y", 6, 9)]);
    let mut state = state_at(&place(5, "m"), json!({ "desktop": 4, "mobile": 2 }), pending, 7);
    state["replaySnapshot"]["links"] = json!([{ "parentId": "p", "childId": "c" }]);
    state["containerClocks"] = json!([{ "containerId": "p", "changedAt": at(5), "changeId": "m" }]);
    state["feedEpoch"] = json!(2);
    desk.hydrate(&state).unwrap();
    let before = desk.client.export_state();
    let changes: Vec<Change> = vec![
        Box::new(|state| state.replay_snapshot.links.clear()),
        Box::new(|state| state.replay_snapshot.cursor = Some(place(4, "m"))),
        Box::new(|state| state.replay_snapshot.cursor = None),
        Box::new(|state| state.reconcile_state = None),
        Box::new(|state| state.reconcile_state.as_mut().unwrap().cursor = place(4, "m")),
        Box::new(|state| state.replay_snapshot.cursor = Some(place(6, "n"))),
        Box::new(|state| {
            state.reconcile_state.as_mut().unwrap().last_reconciled_write_ids =
                crate::scene::write_ids(&[("desktop", 4), ("mobile", 1)]);
        }),
        Box::new(|state| state.container_clocks.clear()),
        Box::new(|state| state.container_clocks[0].changed = place(6, "n")),
        Box::new(|state| state.pending_operations.reverse()),
        Box::new(|state| state.pending_operations[0].operation.occurred_at = at(8)),
        Box::new(|state| state.pending_operations[1].operation.item_id = crate::scene::item("d")),
        Box::new(|state| {
            let mut other = state.pending_operations[0].clone();
            other.operation.op_id = vfs_core::OpId::parse("w").unwrap();
            state.pending_operations.insert(0, other);
        }),
        Box::new(|state| {
            let mut operation = state.pending_operations[0].clone();
            operation.operation.op_id = vfs_core::OpId::parse("w").unwrap();
            let status = vfs_core::PushStatus::InvalidOp;
            state.rejected_operations.push(vfs_core::client::RejectedOperation { operation, status });
        }),
        Box::new(|state| state.next_local_write_id = vfs_core::WriteId::new(6).unwrap()),
        Box::new(|state| state.feed_epoch = Some(1)),
        Box::new(|state| state.feed_epoch = None),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut after = before.clone();
        change(&mut after);
        let diff = diff(&before, &after);
        assert!(!diff.is_legal(), "change {index} is a breach: {diff:?}");
    }
    assert!(diff(&before, &before).is_empty());
}
