//! A past that the server has forgotten, and a server that was restored.

use serde_json::{Value, json};
use vfs_core::client::{ClientError, EpochError, Failure, FeedEpoch, Reply, ReplyBody, Request};
use vfs_core::container_clock::ContainerClocks;
use vfs_core::replay::{Replay, check_page};
use vfs_core::{FeedItem, WriteIdMap};

use super::ground::{Desk, Hub, link, page, place, put, script, state_at, waiting};
use crate::scene::at;

/// What stands at the end of the feed, as a server would give it.
fn canonical(feed: &[FeedItem], ids: &WriteIdMap) -> Value {
    let (mut replay, mut clocks) = (Replay::new(), ContainerClocks::new());
    let whole = check_page(None, feed).unwrap();
    replay.commit(&whole);
    clocks.apply_page(&whole);
    json!({
        "replaySnapshot": replay.snapshot(),
        "reconcileState": { "cursor": replay.cursor(), "lastReconciledWriteIds": ids },
        "containerClocks": clocks.snapshot(),
    })
}

#[test]
fn a_client_that_was_away_too_long_starts_over_and_keeps_its_queue() {
    let mut hub = Hub::with(&["c"]);
    let mut writer = Desk::new("mobile", 10);
    writer.queue(&put("p0", "c"), 1);
    writer.flush(|request| hub.answer(request)).unwrap();
    let mut desk = Desk::new("desktop", 10);
    desk.sync(|request| hub.answer(request)).unwrap();
    desk.queue(&put("mine", "c").named("mine"), 1);
    hub.now = at(10);
    for number in 1..5 {
        writer.queue(&put(&format!("p{number}"), "c"), 1);
    }
    writer.flush(|request| hub.answer(request)).unwrap();
    let feed: Vec<FeedItem> = hub.model.operations().cloned().collect();
    hub.model.compact(at(11), 100);
    let state = canonical(&feed, &hub.model.write_ids(&hub.who));
    let outcome = desk
        .sync(|request| match request {
            Request::Snapshot => ReplyBody::Snapshot(Some(state.clone())),
            other => hub.answer(other),
        })
        .unwrap();
    assert_eq!(
        (outcome.rematerializations, desk.notices.as_slice()),
        (1, &["pull:pullRematerializationRequired".to_owned()][..])
    );
    assert_eq!(desk.client.pending().len(), 1, "the queue is kept");
    desk.flush(|request| hub.answer(request)).unwrap();
    writer.sync(|request| hub.answer(request)).unwrap();
    let (mine, theirs) = (desk.client.snapshot(), writer.client.snapshot());
    assert_eq!((mine.links, mine.container_clocks), (theirs.links, theirs.container_clocks));
}

#[test]
fn starting_over_in_vain_ends_after_as_many_attempts_as_there_may_be() {
    for (most, told) in [(0, 1), (1, 2), (3, 4)] {
        let mut options = vfs_core::client::Options::new("alice", "desktop").unwrap();
        options.rematerializations_max = most;
        let mut desk = Desk::of(options);
        desk.queue(&put("p", "c"), 1);
        let error = desk
            .sync(|request| match request {
                Request::Snapshot => ReplyBody::Snapshot(None),
                _ => ReplyBody::Failed(Failure::RematerializationRequired { oldest_available: None }),
            })
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "CRDT cursor is older than retained history; re-materialization required"
        );
        assert_eq!(desk.notices, vec!["pull:pullRematerializationRequired"; told]);
        assert_eq!(desk.client.pending().len(), 1);
        assert!(error.details().is_some());
    }
}

#[test]
fn a_server_alone_may_not_take_away_what_was_read() {
    for (feed, state, text) in [
        (None, None, "rematerialized cursor regressed local sync cursor"),
        (
            None,
            Some(state_at(&place(4, "a"), json!({}), json!([]), 1)),
            "rematerialized cursor regressed local sync cursor",
        ),
        (
            feed(2, Some(79)),
            Some(state_at(&place(9, "0001-0000000000000090"), json!({}), json!([]), 1)),
            "the server's feed was restored (epoch 2, here 1)",
        ),
    ] {
        let mut desk = reader();
        let before = desk.export();
        let begun = desk.client.sync();
        desk.begin(begun);
        desk.answer(ReplyBody::Failed(Failure::RematerializationRequired { oldest_available: None }));
        desk.answer_with(Reply { feed, body: ReplyBody::Snapshot(state) });
        let error = desk.ended().unwrap().unwrap_err();
        assert!(error.to_string().starts_with(text), "{error}");
        assert_eq!(desk.export(), before);
    }
}

#[test]
fn a_state_that_is_none_is_refused_and_nothing_changes() {
    let clock = json!([{ "containerId": "p", "changedAt": at(9), "changeId": "z" }]);
    let mut ahead = state_at(&place(5, "m"), json!({}), json!([]), 1);
    ahead["containerClocks"] = clock.clone();
    let mut without = state_at(&place(5, "m"), json!({}), json!([]), 1);
    without["replaySnapshot"]["cursor"] = json!(null);
    without["reconcileState"] = json!(null);
    without["containerClocks"] = clock;
    let mut back = state_at(&place(5, "m"), json!({}), json!([]), 1);
    back["reconcileState"]["cursor"] = json!(place(4, "m"));
    for (state, text) in [
        (ahead, "rematerialized containerClocks[0] is ahead of rematerialized cursor"),
        (without, "rematerialized container clocks require replay or reconcile cursor"),
        (back, "rematerialized reconcile cursor regressed rematerialized replay cursor"),
        (json!(7), "state must be a non-null object"),
    ] {
        let mut desk = Desk::new("desktop", 10);
        let begun = desk.client.rematerialize();
        desk.begin(begun);
        let error = desk.run(|_| ReplyBody::Snapshot(Some(state.clone()))).unwrap_err();
        assert_eq!(error, ClientError::Canonical { text: text.to_owned() });
    }
}

fn feed(epoch: u16, began_after_seq: Option<u64>) -> Option<FeedEpoch> {
    Some(FeedEpoch { epoch, began_after_seq })
}

/// A client that has read up to position 80 of epoch 1 and has something queued.
fn reader() -> Desk {
    let mut desk = Desk::new("desktop", 10);
    let place = place(5, "0001-0000000000000080");
    desk.hydrate(&state_at(&place, json!({ "desktop": 4 }), json!([waiting("x", 5, 9)]), 6)).unwrap();
    desk
}

/// A flush whose every answer comes from a feed.
fn flush(desk: &mut Desk, from: Option<FeedEpoch>) -> Result<vfs_core::client::Outcome, ClientError> {
    let begun = desk.client.flush();
    desk.begin(begun);
    let mut answer = script(vec![], "applied");
    loop {
        if let Some(ended) = desk.ended() {
            return ended;
        }
        let body = answer(desk.asked().expect("a request"));
        desk.answer_with(Reply { feed: from, body });
    }
}

#[test]
fn a_client_ahead_of_a_restored_server_stops_keeps_its_queue_and_starts_over_when_told() {
    let mut desk = reader();
    let before = desk.export();
    let error = flush(&mut desk, feed(2, Some(79))).unwrap_err();
    assert_eq!(error, ClientError::Epoch(EpochError::Ahead { ours: 1, theirs: 2 }));
    assert_eq!(
        error.to_string(),
        "the server's feed was restored (epoch 2, here 1) and may lack what this client has read; re-materialize to go on, the queue is kept"
    );
    assert_eq!((desk.export(), desk.signatures().len()), (before, 0));
    let begun = desk.client.rematerialize();
    desk.begin(begun);
    let state = canonical(&[link("0001-0000000000000070", 3)], &WriteIdMap::new());
    desk.answer_with(Reply { feed: feed(2, Some(79)), body: ReplyBody::Snapshot(Some(state)) });
    desk.ended().unwrap().unwrap();
    let export = desk.client.export_state();
    assert_eq!((export.feed_epoch, export.pending_operations.len()), (Some(2), 1));
    assert_eq!(export.next_local_write_id.get(), 6, "no number is used twice");
    flush(&mut desk, feed(2, Some(79))).unwrap();
    assert_eq!(desk.client.pending(), []);
}

#[test]
fn a_client_that_has_read_nothing_that_was_lost_goes_on_in_the_new_epoch() {
    let mut desk = reader();
    flush(&mut desk, feed(2, Some(80))).unwrap();
    assert_eq!(desk.client.export_state().feed_epoch, Some(2));
    let mut unsaid = reader();
    assert!(matches!(flush(&mut unsaid, feed(2, None)), Err(ClientError::Epoch(_))), "unsaid is not safe");
    let mut twice = reader();
    let of_two = flush(&mut twice, feed(3, Some(90)));
    assert!(
        matches!(of_two, Err(ClientError::Epoch(_))),
        "what was read may have been lost in the first of two"
    );
    let mut new = Desk::new("desktop", 10);
    flush(&mut new, feed(7, None)).unwrap();
    assert_eq!(new.client.export_state().feed_epoch, Some(7));
}

#[test]
fn a_server_that_was_left_behind_is_refused() {
    let mut desk = reader();
    flush(&mut desk, feed(2, Some(80))).unwrap();
    flush(&mut desk, feed(3, Some(80))).unwrap();
    let error = flush(&mut desk, feed(2, Some(80))).unwrap_err();
    assert_eq!(error, ClientError::Epoch(EpochError::Ended { ours: 3, theirs: 2 }));
    assert!(!error.next_action().is_empty());
}

#[test]
fn a_server_rewound_without_a_new_epoch_trips_the_guardrails() {
    let mut desk = reader();
    let error = desk.sync(script(vec![page(vec![], None, false, json!({ "desktop": 2 }))], "applied"));
    assert_eq!(error.unwrap_err().signature().as_deref(), Some("pull:lastWriteIdRegression"));
}

#[test]
fn a_server_that_was_set_back_and_has_overtaken_the_client_is_noticed_by_its_positions() {
    let id = |epoch: u16, seq: u64| format!("{epoch:04}-{seq:016}");
    for (told, read, again) in [
        (vec![id(1, 61), id(1, 93)], id(1, 80), id(1, 61)),
        (vec![id(1, 80), id(1, 81)], id(1, 80), id(1, 80)),
        (vec![id(1, 90), id(1, 88)], id(1, 90), id(1, 88)),
    ] {
        let mut desk = reader();
        let items = told.iter().zip(6..).map(|(op_id, millisecond)| link(op_id, millisecond)).collect();
        let before = desk.export();
        let error = desk.sync(script(vec![page(items, None, false, json!({ "desktop": 9 }))], "applied"));
        let error = error.unwrap_err();
        assert!(matches!(error, ClientError::Epoch(EpochError::SetBack { .. })), "{error}");
        assert_eq!(
            error.to_string(),
            format!(
                "the server's feed was set back: it tells {again} after {read}, which was read here, and may lack more of it; re-materialize to go on, the queue is kept"
            )
        );
        assert_eq!((desk.export(), desk.signatures().len()), (before, 0));
        let begun = desk.client.rematerialize();
        desk.begin(begun);
        let items: Vec<FeedItem> = told[..1].iter().map(|op_id| link(op_id, 6)).collect();
        let state = canonical(&items, &WriteIdMap::new());
        desk.answer_with(Reply::of(ReplyBody::Snapshot(Some(state))));
        desk.ended().unwrap().unwrap();
        assert_eq!(desk.client.pending().len(), 1);
        flush(&mut desk, None).unwrap();
        assert_eq!(desk.client.pending(), []);
    }
    // A new epoch goes on from a smaller number, and ids that are no positions have no order but that of their times.
    for op_id in [id(2, 71), "a".to_owned()] {
        let mut desk = reader();
        let items = vec![link(&op_id, 6)];
        desk.sync(script(vec![page(items, None, false, json!({ "desktop": 9 }))], "applied")).unwrap();
    }
}

#[test]
fn a_server_alone_may_not_take_known_writes_away_and_those_that_it_does_not_name_stay() {
    let known = json!({ "desktop": 4, "laptop": 7 });
    let gone = || ReplyBody::Failed(Failure::RematerializationRequired { oldest_available: None });
    let state_with = |write_ids: Value| {
        let place = place(6, "0001-0000000000000090");
        state_at(&place, write_ids, json!([]), 1)
    };
    let started = |write_ids: Value| {
        let mut desk = Desk::new("desktop", 10);
        desk.hydrate(&state_at(&place(5, "0001-0000000000000080"), known.clone(), json!([]), 6)).unwrap();
        let begun = desk.client.sync();
        desk.begin(begun);
        desk.answer(gone());
        desk.answer(ReplyBody::Snapshot(Some(state_with(write_ids))));
        desk
    };
    let mut fallen = started(json!({ "desktop": 4, "laptop": 6 }));
    let error = fallen.ended().unwrap().unwrap_err();
    assert_eq!(error.signature().as_deref(), Some("pull:lastWriteIdRegression"));
    let mut unsaid = started(json!({ "desktop": 5 }));
    assert!(unsaid.ended().is_none(), "it reads on");
    let read = unsaid.client.reconciled().unwrap();
    assert_eq!(
        serde_json::to_value(&read.last_reconciled_write_ids).unwrap(),
        json!({ "desktop": 5, "laptop": 7 })
    );
}
