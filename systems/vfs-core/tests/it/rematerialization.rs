//! A state to begin anew with.

use vfs_core::container_clock::{ContainerClock, ContainerClocks};
use vfs_core::model::{Model, ModelError, Pull};
use vfs_core::reconcile::ReconcileState;
use vfs_core::rematerialization::{MaterializedState, MaterializedStateError, TEXT};
use vfs_core::replay::{Replay, ReplaySnapshot, check_page};
use vfs_core::{FeedItem, WriteIdMap};

use crate::scene::{Reader, at, cursor, item, link_add, link_remove, operation, push, user};

fn state(replayed: Option<i64>, reconciled: Option<i64>, clocks: &[i64]) -> MaterializedState {
    let clock = |millisecond: &i64| ContainerClock {
        container_id: format!("c{millisecond}"),
        changed: cursor(*millisecond, "m"),
    };
    MaterializedState {
        replay_snapshot: ReplaySnapshot {
            cursor: replayed.map(|millisecond| cursor(millisecond, "m")),
            ..ReplaySnapshot::default()
        },
        reconcile_state: reconciled.map(|millisecond| ReconcileState {
            cursor: cursor(millisecond, "m"),
            last_reconciled_write_ids: WriteIdMap::new(),
        }),
        container_clocks: clocks.iter().map(clock).collect(),
    }
}

#[test]
fn each_contradiction_in_a_state_has_its_text() {
    let says = |state: MaterializedState| state.check().map_err(|error| error.to_string()).unwrap_err();
    assert_eq!(
        says(state(Some(5), Some(4), &[])),
        "rematerialized reconcile cursor regressed rematerialized replay cursor"
    );
    assert_eq!(
        says(state(None, None, &[1])),
        "rematerialized container clocks require replay or reconcile cursor"
    );
    assert_eq!(
        says(state(Some(5), None, &[5, 6])),
        "rematerialized containerClocks[1] is ahead of rematerialized cursor"
    );
    assert_eq!(
        state(Some(5), Some(7), &[6, 8]).check(),
        Err(MaterializedStateError::ClockAhead { index: 1 })
    );
    for good in [state(None, None, &[]), state(Some(5), Some(5), &[5]), state(Some(5), Some(6), &[6])] {
        assert_eq!(good.check(), Ok(()));
        let json = serde_json::to_value(&good).unwrap();
        assert_eq!(serde_json::from_value::<MaterializedState>(json).unwrap(), good);
    }
}

#[test]
fn whoever_begins_anew_at_the_horizon_ends_where_the_others_are() {
    let mut model = Model::new(at(0));
    model.register(at(0), &user("alice"), &item("file")).unwrap();
    for (write_id, millisecond) in (1..=6).zip(1..) {
        let change = if write_id % 3 == 0 { link_remove("p") } else { link_add("p") };
        push(&mut model, millisecond, "alice", "d", &[operation("d", write_id, 0, "file", change)]);
    }
    let mut steady = Reader::new("alice");
    steady.settle(&model, 9, 2);
    // The fold of the feed up to the place where it will be forgotten.
    let folded: Vec<FeedItem> = model.operations().take(4).cloned().collect();
    let page = check_page(None, &folded).unwrap();
    let (mut replay, mut clocks) = (Replay::new(), ContainerClocks::new());
    replay.commit(&page);
    clocks.apply_page(&page);
    let state = MaterializedState {
        replay_snapshot: replay.snapshot(),
        reconcile_state: None,
        container_clocks: clocks.snapshot(),
    };
    assert_eq!(state.check(), Ok(()));

    model.compact(at(5), 100);
    let from_nothing = model.pull(at(9), &user("alice"), &Pull { after: None, limit: 5, root_id: None });
    assert_eq!(from_nothing, Err(ModelError::Rematerialize));
    assert_eq!(ModelError::Rematerialize.to_string(), TEXT);
    let mut anew = Reader::new("alice");
    anew.replay = Replay::from_snapshot(&state.replay_snapshot).unwrap();
    anew.settle(&model, 9, 1);
    assert_eq!(anew.replay, steady.replay);
    assert_eq!(anew.received.len(), 2);
}
