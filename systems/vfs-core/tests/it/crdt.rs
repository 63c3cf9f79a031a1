//! The order of operations and the registers.

use proptest::prelude::*;
use serde_json::{Value, json};
use vfs_core::canonical::{check, check_values};
use vfs_core::register::Registers;
use vfs_core::{AccessLevel, Change, OpId, Operation, PrincipalType, PushStatus};

use crate::lcg::Lcg;
use crate::scene::{acl_add, link_add, link_remove, operation, to, write_ids};

fn read() -> Change {
    acl_add(to(PrincipalType::User, "bob"), AccessLevel::Read)
}

fn remove() -> Change {
    Change::AclRemove { principal: to(PrincipalType::User, "bob") }
}

#[test]
fn a_stale_write_of_a_replica_is_dropped_and_a_losing_one_is_noted() {
    let mut registers = Registers::new();
    assert_eq!(registers.apply(&operation("a", 5, 50, "x", read())), PushStatus::Applied);
    let before = registers.clone();
    assert_eq!(registers.apply(&operation("a", 5, 90, "x", remove())), PushStatus::StaleWriteId);
    assert_eq!(registers.apply(&operation("a", 4, 90, "x", remove())), PushStatus::StaleWriteId);
    assert_eq!(registers, before);
    assert_eq!(registers.apply(&operation("b", 7, 10, "x", remove())), PushStatus::OutdatedOp);
    assert_eq!(registers.snapshot().last_reconciled_write_ids, write_ids(&[("a", 5), ("b", 7)]));
    assert_eq!(registers.snapshot().acl.len(), 1);
}

#[test]
fn a_tombstone_beats_an_older_add_that_comes_later() {
    let mut registers = Registers::new();
    assert_eq!(registers.apply(&operation("a", 1, 20, "x", remove())), PushStatus::Applied);
    assert_eq!(registers.apply(&operation("b", 1, 10, "x", read())), PushStatus::OutdatedOp);
    assert!(registers.snapshot().acl.is_empty());
    assert_eq!(registers.apply(&operation("a", 2, 20, "x", link_remove("p"))), PushStatus::Applied);
    assert_eq!(registers.apply(&operation("b", 2, 10, "x", link_add("p"))), PushStatus::OutdatedOp);
    assert!(registers.snapshot().links.is_empty());
}

#[test]
fn registers_whose_ids_would_join_to_one_text_are_apart() {
    let mut registers = Registers::new();
    registers.apply(&operation("a", 1, 1, "b:c", link_add("x")));
    registers.apply(&operation("a", 2, 2, "c", link_add("x:b")));
    assert_eq!(registers.snapshot().links.len(), 2);
}

#[test]
fn each_break_of_the_order_has_its_code_and_its_text() {
    let says = |operations: &[Operation]| {
        let error = check(operations).unwrap_err();
        (error.code(), error.to_string())
    };
    let first = operation("a", 1, 1, "x", read());
    let repeated = Operation { write_id: operation("a", 2, 1, "x", read()).write_id, ..first.clone() };
    assert_eq!(
        says(&[first.clone(), repeated]),
        ("duplicateOpId", "CRDT operation 1 repeats opId a-1".to_owned())
    );
    let other =
        Operation { op_id: OpId::parse("z").unwrap(), occurred_at: crate::scene::at(9), ..first.clone() };
    assert_eq!(
        says(&[first.clone(), other]),
        ("nonMonotonicReplicaWriteId", "CRDT operation 1 has non-monotonic writeId for replica a".to_owned())
    );
    assert_eq!(
        says(&[operation("b", 1, 1, "x", read()), first.clone()]),
        ("outOfOrderFeed", "CRDT operation 1 violates feed ordering".to_owned())
    );
    assert_eq!(
        check(&[first.clone(), operation("b", 1, 1, "x", read()), operation("a", 2, 2, "x", remove())]),
        Ok(())
    );

    let valid = serde_json::to_value(&first).unwrap();
    for spoil in [json!({ "parentId": "x" }), json!({ "parentId": "p", "childId": "y" })] {
        let mut link = json!({
            "opId": "l", "opType": "link_add", "itemId": "x", "replicaId": "a", "writeId": 2,
            "occurredAt": "2026-02-14T12:00:01Z",
        });
        link.as_object_mut().unwrap().extend(spoil.as_object().unwrap().clone());
        let error = check_values(&[valid.clone(), link]).unwrap_err();
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            ("invalidOperation", "CRDT operation 1 is invalid")
        );
    }
    assert_eq!(check_values(&[valid]).unwrap(), [first]);
}

/// Operations of three replicas on few registers; the clock of each goes forth and back.
fn with_clocks_that_go_back() -> impl Strategy<Value = Vec<Vec<Operation>>> {
    let write = (0_i64..6, 0..2_usize, 0..4_usize);
    prop::collection::vec(prop::collection::vec(write, 0..6), 3).prop_map(|replicas| {
        let names = ["a", "b", "c"];
        replicas
            .into_iter()
            .zip(names)
            .map(|(writes, name)| {
                let operation = |(number, (millisecond, on, kind)): (u64, (i64, usize, usize))| {
                    let change = match kind {
                        0 => read(),
                        1 => remove(),
                        2 => link_add("p"),
                        _ => link_remove("p"),
                    };
                    operation(name, number, millisecond, ["x", "y"][on], change)
                };
                (1..).zip(writes).map(operation).collect()
            })
            .collect()
    })
}

/// Puts the writes of replicas one after the other, each replica's in their order.
fn interleaved(replicas: &[Vec<Operation>], seed: u32) -> Vec<Operation> {
    let mut lcg = Lcg::new(seed);
    let mut left: Vec<_> = replicas.iter().map(|writes| writes.iter().cloned().peekable()).collect();
    let mut order = Vec::new();
    loop {
        left.retain_mut(|writes| writes.peek().is_some());
        if left.is_empty() {
            return order;
        }
        let which = lcg.between(0, u32::try_from(left.len()).unwrap() - 1) as usize;
        order.extend(left[which].next());
    }
}

#[test]
fn writes_of_a_replica_whose_clock_went_back_end_the_same_in_every_order() {
    // With "the same replica: the write id decides", these three beat each other in a circle.
    let first = operation("a", 1, 10, "x", read());
    let second = operation("a", 2, 1, "x", remove());
    let other = operation("b", 1, 5, "x", acl_add(to(PrincipalType::User, "bob"), AccessLevel::Admin));
    let mut ends = Vec::new();
    for order in [[&first, &second, &other], [&first, &other, &second], [&other, &first, &second]] {
        let mut registers = Registers::new();
        for operation in order {
            registers.apply(operation);
        }
        ends.push(registers.snapshot());
    }
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
    assert_eq!(ends[0].acl[0].access_level, AccessLevel::Read);
}

proptest! {
    #[test]
    fn the_end_does_not_depend_on_who_comes_first(
        replicas in with_clocks_that_go_back(),
        one in any::<u32>(),
        two in any::<u32>(),
    ) {
        let end = |seed| {
            let mut registers = Registers::new();
            for operation in interleaved(&replicas, seed) {
                prop_assert_ne!(registers.apply(&operation), PushStatus::StaleWriteId);
            }
            Ok(registers.snapshot())
        };
        prop_assert_eq!(end(one)?, end(two)?);
    }

    #[test]
    fn merging_is_independent_of_order_and_number(replicas in with_clocks_that_go_back(), seed in any::<u32>()) {
        let mut operations: Vec<Operation> = replicas.into_iter().flatten().collect();
        let mut straight = Registers::new();
        for operation in &operations {
            straight.merge(operation);
        }
        operations.extend(operations.clone());
        Lcg::new(seed).shuffle(&mut operations);
        let mut shuffled = Registers::new();
        for operation in &operations {
            shuffled.merge(operation);
        }
        prop_assert_eq!(shuffled.snapshot(), straight.snapshot());
    }

    #[test]
    fn a_value_that_is_no_operation_changes_nothing(text in any::<String>(), number in any::<f64>()) {
        let mut registers = Registers::new();
        for value in [json!({ "opId": text }), json!(text), json!([number]), Value::Null] {
            prop_assert_eq!(registers.apply_value(&value), PushStatus::InvalidOp);
        }
        prop_assert_eq!(registers, Registers::new());
    }
}
