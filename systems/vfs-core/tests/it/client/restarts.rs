//! Restarts from an exported state, with queued operations, acknowledgements ahead, equal and lagging.

use serde_json::{Value, json};
use vfs_core::client::{ReplyBody, Request};

use super::ground::{Desk, link, page, place, put, results, state_at, waiting};

/// One cycle of a script: the page, and how the acknowledgement goes.
struct Cycle {
    item: (&'static str, i64),
    page_ids: Value,
    ahead: i64,
    acknowledged_ids: Value,
}

/// Pushes what is queued, reads one page, is acknowledged; then the client restarts.
fn run(mut desk: Desk, cycles: Vec<Cycle>) -> (Desk, Vec<Vec<u64>>) {
    let mut pushed = Vec::new();
    for (number, cycle) in cycles.into_iter().enumerate() {
        for name in ["a", "b"] {
            desk.queue(&put("p", "c").named(&format!("{name}{number}")), 0);
        }
        let floor = desk.client.cursor().cloned().expect("a cursor");
        let mut pages = vec![page(
            vec![link(cycle.item.0, cycle.item.1)],
            Some(place(cycle.item.1, cycle.item.0)),
            false,
            cycle.page_ids,
        )];
        desk.flush(|request| match request {
            Request::Push { operations, .. } => {
                assert!(operations.iter().all(|queued| queued.operation.occurred_at > floor.changed_at));
                results(
                    operations
                        .iter()
                        .map(|queued| (queued.operation.op_id.to_string(), "applied".to_owned())),
                )
            }
            Request::Pull { cursor, .. } => {
                assert_eq!(cursor.as_ref(), Some(&floor));
                pages.pop().expect("one page")
            }
            Request::Reconcile { state, .. } => ReplyBody::Reconciled {
                cursor: Some(place(
                    state.cursor.changed_at.as_millisecond() - crate::scene::at(0).as_millisecond()
                        + cycle.ahead,
                    &state.cursor.change_id,
                )),
                write_ids: cycle.acknowledged_ids.clone(),
            },
            Request::Snapshot => panic!("nobody asked"),
        })
        .unwrap();
        assert!(desk.client.cursor() > Some(&floor), "cursors strictly rise");
        assert_eq!(desk.client.pending(), []);
        assert_eq!(desk.signatures(), [""; 0]);
        pushed.extend(desk.pushes());
        desk = desk.restarted();
    }
    (desk, pushed)
}

fn cycle(item: (&'static str, i64), desktop: u64, ahead: i64, acknowledged: u64) -> Cycle {
    Cycle {
        item,
        page_ids: json!({ "desktop": desktop, "mobile": 4 }),
        ahead,
        acknowledged_ids: json!({ "desktop": acknowledged }),
    }
}

#[test]
fn three_restarts_push_exactly_the_numbers_that_acknowledgements_allow() {
    let desk = |next| {
        let mut desk = Desk::new("desktop", 10);
        desk.hydrate(&state_at(&place(5, "m"), json!({ "desktop": 3 }), json!([]), next)).unwrap();
        desk
    };
    let (last, pushed) = run(
        desk(10),
        vec![cycle(("n", 100), 11, 40, 15), cycle(("o", 200), 17, 0, 22), cycle(("p", 300), 24, 40, 24)],
    );
    assert_eq!(pushed, [[10, 11], [16, 17], [23, 24]]);
    assert_eq!(last.client.snapshot().next_local_write_id.get(), 25);

    let (_, pushed) = run(
        desk(12),
        vec![cycle(("n", 100), 13, 40, 19), cycle(("o", 200), 21, 0, 28), cycle(("p", 300), 30, 40, 30)],
    );
    assert_eq!(pushed, [[12, 13], [20, 21], [29, 30]]);
}

#[test]
fn a_checkpoint_with_queued_operations_goes_on_in_their_order() {
    for (seed, limit) in [(1_441, 1), (1_442, 3)] {
        let mut lcg = crate::lcg::Lcg::new(seed);
        let count = u64::from(lcg.between(3, 7));
        let mut numbers: Vec<u64> = Vec::new();
        for _ in 0..count {
            numbers.push(numbers.last().copied().unwrap_or(4) + u64::from(lcg.between(1, 3)));
        }
        let pending: Vec<Value> =
            numbers.iter().map(|number| waiting(&format!("w{number}"), *number, 1)).collect();
        let mut desk = Desk::new("desktop", limit);
        desk.hydrate(&state_at(&place(5, "m"), json!({ "desktop": 4 }), json!(pending), 1)).unwrap();
        let mut desk = desk.restarted();
        // Two pages of which the second fails once; the queue was pushed before, and is not pushed again.
        let mut failed = false;
        for _ in 0..2 {
            let ended = desk.flush(|request| match request {
                Request::Push { operations, .. } => results(
                    operations
                        .iter()
                        .map(|queued| (queued.operation.op_id.to_string(), "applied".to_owned())),
                ),
                Request::Pull { cursor, .. } if *cursor == Some(place(5, "m")) => {
                    page(vec![link("n", 6)], None, true, json!({ "desktop": numbers.last() }))
                }
                Request::Pull { .. } if !std::mem::replace(&mut failed, true) => {
                    page(vec![link("k", 4)], None, false, json!({}))
                }
                Request::Pull { .. } => page(vec![link("o", 7)], None, false, json!({})),
                other => super::ground::echo(other),
            });
            assert_eq!(ended.is_ok(), failed && desk.client.cursor() == Some(&place(7, "o")));
        }
        assert_eq!(desk.pushes(), [numbers]);
        assert_eq!(desk.signatures(), ["pull:pullCursorRegression"]);
        assert_eq!(desk.client.cursor(), Some(&place(7, "o")));
    }
}

#[test]
fn a_replay_that_failed_is_corrected_after_a_restart_and_writes_never_fall() {
    for seed in [1_771, 1_772, 1_773, 1_881, 1_882, 1_883] {
        let mut lcg = crate::lcg::Lcg::new(seed);
        let mut desk = Desk::new("desktop", 2);
        let pages = lcg.between(1, 4);
        let item = |number: u32| link(&format!("n{number:02}"), i64::from(number) + 10);
        let ended = desk.sync(|request| match request {
            Request::Pull { cursor, .. } => {
                let read =
                    cursor.as_ref().map_or(0, |cursor| cursor.change_id[1..].parse::<u32>().unwrap() + 1);
                let items = if read < pages { vec![item(read)] } else { vec![item(read - 1), item(read)] };
                page(items, None, true, json!({ "desktop": read + 1, "mobile": 7 }))
            }
            other => super::ground::echo(other),
        });
        assert!(ended.unwrap_err().to_string().starts_with("transport replayed opId"));
        assert_eq!(desk.client.cursor(), item(pages - 1).cursor().as_ref(), "whole pages stay");
        let known = desk.client.snapshot().last_reconciled_write_ids;
        let mut again = desk.restarted();
        again
            .sync(|request| match request {
                Request::Pull { .. } => page(vec![item(pages)], None, false, json!({ "desktop": pages + 1 })),
                other => super::ground::echo(other),
            })
            .unwrap();
        assert!(again.client.snapshot().last_reconciled_write_ids.dominates(&known));
        assert_eq!(again.client.cursor(), item(pages).cursor().as_ref());
    }
}
