//! Where a client has come to, as what a blob is attached against; local and remote in turns.

use vfs_core::client::{ReplyBody, Request};

use super::ground::{Desk, Hub, put};

#[test]
fn what_a_client_requires_is_visible_once_it_was_acknowledged_and_not_before() {
    let mut hub = Hub::with(&["c"]);
    let mut desk = Desk::new("desktop", 10);
    desk.queue(&put("p", "c"), 1);
    let client = desk.client.options().client_id.clone();
    let who = hub.who.clone();
    let refused = desk.flush(|request| match request {
        Request::Reconcile { .. } => vfs_core::client::Reply::failed("offline").body,
        other => hub.answer(other),
    });
    assert_eq!(refused.unwrap_err().to_string(), "offline");
    let required = desk.client.export_state().reconcile_state.expect("a page was read");
    assert_eq!(hub.model.reconciled(&who, &client), None, "nothing can be attached against it yet");
    desk.sync(|request| hub.answer(request)).unwrap();
    let stored = hub.model.reconciled(&who, &client).expect("acknowledged");
    assert!(stored.dominates(&required.cursor, &required.last_reconciled_write_ids));
}

#[test]
fn local_and_remote_writes_in_turns_survive_a_round_trip_through_the_export() {
    let mut hub = Hub::with(&["c", "d"]);
    let mut local = Desk::new("desktop", 1);
    let mut remote = Desk::new("mobile", 3);
    for round in 0..6 {
        local.queue(&put(&format!("l{round}"), "c"), round);
        remote.queue(&put(&format!("r{round}"), "d"), round);
        remote.flush(|request| hub.answer(request)).unwrap();
        let again = local.restarted();
        assert_eq!(again.export(), local.export());
        local = again;
        if round % 2 == 1 {
            local.flush(|request| hub.answer(request)).unwrap();
        } else {
            local.sync(|request| hub.answer(request)).unwrap();
        }
    }
    remote.sync(|request| hub.answer(request)).unwrap();
    local.sync(|request| hub.answer(request)).unwrap();
    assert_eq!(local.client.snapshot().links, remote.client.snapshot().links);
    assert_eq!(local.client.snapshot().links.len(), 12);
}

#[test]
fn a_client_of_a_server_that_remembers_nothing_does_not_ask_it_to() {
    let mut options = vfs_core::client::Options::new("alice", "desktop").unwrap();
    options.reconciles = false;
    let mut desk = Desk::of(options);
    let mut hub = Hub::with(&["c"]);
    desk.queue(&put("p", "c"), 1);
    desk.flush(|request| hub.answer(request)).unwrap();
    assert!(desk.sent.iter().all(|request| !matches!(request, Request::Reconcile { .. })));
    assert!(matches!(hub.answer(&Request::Snapshot), ReplyBody::Failed(_)));
}
