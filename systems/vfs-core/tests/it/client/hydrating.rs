//! Taking up an exported state: all of it or nothing, and what is wrong first.

use serde_json::{Value, json};
use vfs_core::client::{Client, ClientError, Options};
use vfs_core::testing::expect_hydrate_guardrail_violation;

use super::ground::{Desk, Hub, place, put, script, state_at, waiting};
use crate::scene::at;

fn good() -> Value {
    let mut state = state_at(&place(5, "m"), json!({ "desktop": 1 }), json!([]), 3);
    state["pendingOperations"] = json!([waiting("x", 2, 1), grant("y", 3)]);
    state["replaySnapshot"]["acl"] = json!([
        { "itemId": "c", "principalType": "user", "principalId": "bob", "accessLevel": "read" },
    ]);
    state["replaySnapshot"]["links"] = json!([{ "parentId": "p", "childId": "c" }]);
    state["containerClocks"] = json!([{ "containerId": "p", "changedAt": at(5), "changeId": "m" }]);
    state["rejectedOperations"] = json!([{ "operation": waiting("r", 1, 1), "status": "invalidOp" }]);
    state["feedEpoch"] = json!(1);
    state
}

fn grant(op_id: &str, write_id: u64) -> Value {
    json!({
        "opId": op_id, "opType": "acl_add", "itemId": "c", "replicaId": "desktop", "writeId": write_id,
        "occurredAt": at(1), "principalType": "user", "principalId": "bob", "accessLevel": "write",
    })
}

/// The good state with a value at a path of keys and indexes.
fn with(path: &[&str], value: Value) -> Value {
    let mut state = good();
    let mut at = &mut state;
    for step in path {
        at = match step.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[*step],
        };
    }
    *at = value;
    state
}

fn table() -> Vec<(Value, &'static str)> {
    let later = json!({ "changedAt": at(9), "changeId": "z" });
    let clock = |id: &str, place: i64| json!({ "containerId": id, "changedAt": at(place), "changeId": "m" });
    let acl = good()["replaySnapshot"]["acl"][0].clone();
    vec![
        (json!(null), "state must be a non-null object"),
        (json!([]), "state must be a non-null object"),
        (with(&["nextLocalWriteId"], json!(0)), "state.nextLocalWriteId must be a positive safe integer"),
        (with(&["nextLocalWriteId"], json!("3")), "state.nextLocalWriteId must be a positive safe integer"),
        (with(&["pendingOperations"], json!({})), "state.pendingOperations must be an array"),
        (with(&["containerClocks"], json!(null)), "state.containerClocks must be an array"),
        (with(&["replaySnapshot"], json!(null)), "state.replaySnapshot must be an object"),
        (with(&["replaySnapshot", "acl"], json!(1)), "state.replaySnapshot.acl must be an array"),
        (with(&["replaySnapshot", "links"], json!(1)), "state.replaySnapshot.links must be an array"),
        (
            with(&["replaySnapshot", "acl", "0", "accessLevel"], json!("all")),
            "state.replaySnapshot.acl[0] is invalid",
        ),
        (
            with(&["replaySnapshot", "links", "0", "parentId"], json!(" ")),
            "state.replaySnapshot.links[0] is invalid",
        ),
        (
            with(&["replaySnapshot", "cursor"], json!({ "changedAt": "x" })),
            "transport returned invalid persisted replay cursor",
        ),
        (
            with(&["reconcileState", "cursor"], json!(null)),
            "transport returned invalid persisted reconcile cursor",
        ),
        (
            with(&["reconcileState", "lastReconciledWriteIds"], json!([])),
            "lastReconciledWriteIds must be an object map of replicaId -> writeId",
        ),
        (with(&["containerClocks", "0", "changedAt"], json!("x")), "state.containerClocks[0] is invalid"),
        (
            with(&["containerClocks"], json!([clock("p", 1), clock("p", 2)])),
            "state.containerClocks has duplicate containerId p",
        ),
        (
            with(&["replaySnapshot", "cursor"], later.clone()),
            "persisted reconcile cursor regressed persisted replay cursor",
        ),
        (
            {
                let mut state = with(&["replaySnapshot", "cursor"], json!(null));
                state["reconcileState"] = json!(null);
                state
            },
            "state.containerClocks requires persisted replay or reconcile cursor",
        ),
        (
            with(&["containerClocks"], json!([clock("p", 5), clock("q", 6)])),
            "state.containerClocks[1] is ahead of persisted sync cursor",
        ),
        (
            with(&["pendingOperations", "1", "opType"], json!("grant")),
            "state.pendingOperations[1].opType is invalid",
        ),
        (with(&["pendingOperations", "0"], json!(7)), "state.pendingOperations[0] is invalid"),
        (
            with(&["pendingOperations", "0", "occurredAt"], json!("x")),
            "state.pendingOperations[0] is invalid",
        ),
        (with(&["pendingOperations", "0", "parentId"], json!("c")), "state.pendingOperations[0] is invalid"),
        (
            with(&["pendingOperations", "0", "replicaId"], json!("mobile")),
            "state.pendingOperations[0] has replicaId that does not match clientId",
        ),
        (
            with(&["pendingOperations", "1", "writeId"], json!(1.5)),
            "state.pendingOperations[1].writeId must be a positive safe integer",
        ),
        (
            with(&["pendingOperations", "1", "principalId"], json!("")),
            "state.pendingOperations[1] is missing acl principal fields",
        ),
        (
            with(&["pendingOperations", "1", "accessLevel"], json!(null)),
            "state.pendingOperations[1] is missing acl accessLevel",
        ),
        (
            with(&["pendingOperations", "0", "childId"], json!(null)),
            "state.pendingOperations[0] is missing link fields",
        ),
        (
            with(&["pendingOperations", "0", "childId"], json!("d")),
            "state.pendingOperations[0] has link childId that does not match itemId",
        ),
        (
            with(&["pendingOperations", "0", "encryptedPayload"], json!("")),
            "state.pendingOperations[0] has invalid encryptedPayload",
        ),
        (
            with(&["pendingOperations", "0", "encryptedPayload"], json!("AA==")),
            "state.pendingOperations[0].keyEpoch must be a positive safe integer",
        ),
        (
            with(&["pendingOperations", "1", "opId"], json!("x")),
            "state.pendingOperations has duplicate opId x",
        ),
        (
            with(&["pendingOperations", "1", "writeId"], json!(2)),
            "state.pendingOperations writeIds must be strictly increasing",
        ),
        (
            with(&["pendingOperations", "1", "opId"], json!("m")),
            "state.pendingOperations contains opId m that collides with persisted cursor boundary",
        ),
        (with(&["rejectedOperations"], json!(1)), "state.rejectedOperations must be an array"),
        (with(&["rejectedOperations", "0", "status"], json!("no")), "state.rejectedOperations[0] is invalid"),
        (
            with(&["rejectedOperations", "0", "operation", "opId"], json!("x")),
            "state.rejectedOperations has duplicate opId x",
        ),
        (with(&["feedEpoch"], json!(0)), "state.feedEpoch must be a whole number from 1 to 65535"),
        (
            with(&["replaySnapshot", "acl"], json!([acl.clone(), acl])),
            "snapshot acl contains duplicate principal entry",
        ),
        (
            with(
                &["replaySnapshot", "links"],
                json!([
                    { "parentId": "p", "childId": "c" }, { "parentId": "p", "childId": "c" },
                ]),
            ),
            "snapshot links contain duplicate edge",
        ),
    ]
}

#[test]
fn each_field_that_is_wrong_has_its_text_and_the_client_stays_new() {
    for (state, text) in table() {
        let mut desk = Desk::new("desktop", 10);
        let error = desk.hydrate(&state).unwrap_err();
        assert_eq!(error.to_string(), text);
        expect_hydrate_guardrail_violation(&desk.told, Some(text));
        assert_eq!((desk.told.len(), desk.kept.as_ref()), (1, None));
        // The corrected state is taken up by the same client.
        desk.hydrate(&good()).unwrap();
    }
}

#[test]
fn of_two_faults_the_first_in_the_order_of_checks_is_told() {
    let table = table();
    let texts = |state: &Value| {
        let mut desk = Desk::new("desktop", 10);
        desk.hydrate(state).unwrap_err().to_string()
    };
    // A wrong number of the next write comes before everything else, a wrong queue before wrong clocks.
    let mut state = with(&["nextLocalWriteId"], json!(-1));
    state["pendingOperations"] = json!(null);
    assert_eq!(texts(&state), table[2].1);
    state["nextLocalWriteId"] = json!(3);
    state["containerClocks"] = json!(null);
    assert_eq!(texts(&state), table[4].1);
    // The earliest of two malformed operations.
    let mut state = with(&["pendingOperations", "1", "accessLevel"], json!(null));
    state["pendingOperations"][0]["childId"] = json!("d");
    assert_eq!(texts(&state), "state.pendingOperations[0] has link childId that does not match itemId");
}

#[test]
fn a_good_state_survives_hydrate_and_export_byte_for_byte() {
    let mut desk = Desk::new("desktop", 10);
    desk.hydrate(&good()).unwrap();
    let exported = desk.export();
    assert_eq!(exported["pendingOperations"].as_array().unwrap().len(), 2);
    assert_eq!(exported["rejectedOperations"].as_array().unwrap().len(), 1);
    let again = desk.restarted();
    assert_eq!(serde_json::to_vec(&again.export()).unwrap(), serde_json::to_vec(&exported).unwrap());
    // An export is a copy.
    let mut copy = desk.client.export_state();
    copy.pending_operations.clear();
    assert_eq!(desk.client.pending().len(), 2);
}

#[test]
fn a_state_from_before_rejected_operations_and_epochs_is_taken_up() {
    let mut state = good();
    for absent in ["rejectedOperations", "feedEpoch"] {
        state.as_object_mut().unwrap().remove(absent);
    }
    let mut desk = Desk::new("desktop", 10);
    desk.hydrate(&state).unwrap();
    assert_eq!((desk.client.rejected().len(), desk.client.export_state().feed_epoch), (0, None));
}

#[test]
fn only_a_new_client_takes_up_a_state() {
    let refused = |desk: &mut Desk| {
        let count = desk.told.len();
        let error = desk.hydrate(&good()).unwrap_err();
        assert_eq!(desk.told.len(), count + 1);
        error.to_string()
    };
    let mut desk = Desk::new("desktop", 10);
    desk.queue(&put("p", "c"), 1);
    assert_eq!(refused(&mut desk), "cannot hydrate state on a non-empty pending queue");
    let mut desk = Desk::new("desktop", 10);
    desk.hydrate(&good()).unwrap();
    assert_eq!(refused(&mut desk), "cannot hydrate state on a non-empty pending queue");
    desk.flush(script(vec![], "applied")).unwrap();
    assert_eq!(refused(&mut desk), "cannot hydrate state on a non-empty client");
    let mut desk = Desk::new("desktop", 10);
    desk.client.start_background_flush(5).unwrap();
    assert_eq!(refused(&mut desk), "cannot hydrate state while background flush is active");
    for (begin, text) in [
        (Client::sync as fn(&mut Client) -> _, "cannot hydrate state while sync is in progress"),
        (Client::flush, "cannot hydrate state while flush is in progress"),
        (Client::rematerialize, "cannot hydrate state while re-materialization is in progress"),
    ] {
        let mut client = Client::new(Options::new("alice", "desktop").unwrap());
        let _ = begin(&mut client);
        let effects = client.hydrate(&good());
        let Some(vfs_core::client::Effect::Finished(Err(ClientError::Guardrail(violation)))) = effects.last()
        else {
            panic!("{effects:?}")
        };
        assert_eq!(violation.message(), text);
    }
}

#[test]
fn a_corrected_checkpoint_is_pushed_in_its_order_with_one_violation_told() {
    for seed in [1_551, 1_552, 1_553, 1_661, 1_662] {
        let mut lcg = crate::lcg::Lcg::new(seed);
        let mut hub = Hub::with(&["c"]);
        hub.now = at(10);
        let pages = lcg.between(1, 3) as usize;
        let mut other = Desk::new("mobile", 10);
        for number in 0..lcg.between(3, 6) {
            other.queue(&put(&format!("q{number}"), "c"), 1);
        }
        other.flush(|request| hub.answer(request)).unwrap();
        let mut desk = Desk::new("desktop", pages);
        let mut state = json!({
            "replaySnapshot": { "acl": [], "links": [], "cursor": null }, "reconcileState": null,
            "containerClocks": [], "nextLocalWriteId": 1,
            "pendingOperations": [waiting("x", 1, 1), waiting("y", 2, 1)],
        });
        state["pendingOperations"][1]["childId"] = json!("another");
        desk.hydrate(&state).unwrap_err();
        state["pendingOperations"][1]["childId"] = json!("c");
        desk.hydrate(&state).unwrap();
        desk.flush(|request| hub.answer(request)).unwrap();
        assert_eq!(desk.pushes(), [[1, 2]]);
        expect_hydrate_guardrail_violation(&desk.told, None);
        let (mine, feed) = (desk.client.snapshot(), hub.model.operations().count());
        other.sync(|request| hub.answer(request)).unwrap();
        assert_eq!(mine.links, other.client.snapshot().links);
        assert_eq!(mine.container_clocks.len(), feed - 1, "x and y are below one parent");
        // The containers, in windows of as few as the pages: strictly forward, each once.
        let mut after = None;
        let mut listed = Vec::new();
        loop {
            let window = desk.client.list_changed_containers(after.as_ref(), pages).unwrap();
            assert!(window.items.iter().all(|clock| Some(&clock.changed) > after.as_ref()));
            after = window.next_cursor;
            listed.extend(window.items);
            if !window.has_more {
                break;
            }
        }
        listed.sort_by(|a, b| a.container_id.cmp(&b.container_id));
        assert_eq!(listed, mine.container_clocks);
    }
}

#[test]
fn each_option_that_is_wrong_has_its_text() {
    let says = |user: &str, client: &str| Options::new(user, client).unwrap_err().to_string();
    assert_eq!(says(" ", "desktop"), "userId is required");
    assert_eq!(says("alice", " "), "clientId is required");
    assert_eq!(says("alice", &"x".repeat(129)), "clientId must be non-empty and at most 128 characters");
    assert_eq!(says("alice", "a:b"), "clientId must not include \":\"");
    for limit in [0, 501] {
        let error = Options::new("alice", "desktop").unwrap().pull_limit(limit).unwrap_err();
        assert_eq!(error.to_string(), "pullLimit must be an integer between 1 and 500");
    }
}
