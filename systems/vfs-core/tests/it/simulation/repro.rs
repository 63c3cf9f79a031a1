//! Known hazards, each as the few operations that show it: the world is safe with what ships, and is not with the fault
//! that the hazard is.

use vfs_core::client::Mutation;

use super::lie::Lie;
use super::op::{NetworkFault, Op};
use super::random::Random;
use super::run_ops;
use super::server::ServerMutation;
use super::world::Planted;

const DESKTOP: usize = 0;
const MOBILE: usize = 1;

fn queue(device: usize) -> Op {
    Op::Queue { device, item: 0, kind: 0, is_foreign: false }
}

fn wait() -> Op {
    Op::Wait { milliseconds: 400 }
}

fn is_safe(ops: &[Op], planted: Option<Planted>) -> bool {
    run_ops(ops, Random::new(7), planted, false).is_ok()
}

fn shows(hazard: Planted, ops: &[Op]) {
    if let Err(why) = run_ops(ops, Random::new(7), None, true) {
        panic!("{why}");
    }
    assert!(!is_safe(ops, Some(hazard)), "{hazard:?} is not shown by {ops:?}");
}

#[test]
fn repro_an_acknowledgement_of_another_instance_skips_what_was_not_read() {
    shows(
        Planted::Client(Mutation::AcknowledgementMovesCursor),
        &[
            queue(MOBILE),
            Op::Flush { device: MOBILE },
            wait(),
            Op::Lie { device: DESKTOP, lie: Lie::AckAhead },
            Op::Sync { device: DESKTOP },
            wait(),
            // The clock of the server goes back, so that the next operation is at the same time as the last.
            Op::ServerClockJump { by: -10_000 },
            queue(MOBILE),
            Op::Flush { device: MOBILE },
            wait(),
            Op::Sync { device: DESKTOP },
            wait(),
        ],
    );
}

#[test]
fn repro_one_invalid_operation_poisons_the_queue() {
    let foreign = Op::Queue { device: DESKTOP, item: 0, kind: 0, is_foreign: true };
    shows(
        Planted::Client(Mutation::InvalidStays),
        &[foreign, queue(DESKTOP), Op::Flush { device: DESKTOP }, wait()],
    );
}

#[test]
fn repro_an_operation_renumbered_after_a_lost_answer_is_applied_twice() {
    shows(
        Planted::Server(ServerMutation::DedupeOff),
        &[
            queue(DESKTOP),
            Op::Network { device: DESKTOP, fault: NetworkFault::LoseReply },
            Op::Flush { device: DESKTOP },
            wait(),
            Op::Flush { device: DESKTOP },
            wait(),
        ],
    );
}

#[test]
fn repro_two_operations_of_one_millisecond_are_passed_by_a_cursor_of_time() {
    shows(
        Planted::Server(ServerMutation::CursorByTimeOnly),
        &[
            queue(MOBILE),
            queue(MOBILE),
            queue(MOBILE),
            queue(MOBILE),
            queue(MOBILE),
            Op::Flush { device: MOBILE },
            wait(),
            Op::Sync { device: DESKTOP },
            wait(),
        ],
    );
}

#[test]
fn repro_whoever_starts_over_is_told_a_state_that_leads_back_or_of_another_feed() {
    // The world's own expectation was wrong: who asks for the state gets what there is, and reads on from there.
    for lie in [Lie::SnapshotLeadsBack, Lie::OtherEpoch] {
        let ops = [
            queue(DESKTOP),
            Op::Flush { device: DESKTOP },
            wait(),
            Op::Backup,
            Op::Restore,
            // With a restore before it, this one is taken for the truth: the user is told to start over.
            Op::Lie { device: DESKTOP, lie: Lie::OtherEpoch },
            wait(),
            Op::Lie { device: DESKTOP, lie },
            wait(),
            wait(),
        ];
        if let Err(why) = run_ops(&ops, Random::new(7), None, true) {
            panic!("{lie:?}: {why}");
        }
    }
}

#[test]
fn repro_a_restored_server_that_has_forgotten_its_past_takes_known_writes_away() {
    // A device dies after its first page, which tells it of writes that it has not read. They are lost with a restore,
    // and the feed is forgotten up to beyond its cursor: it takes the state anew by itself.
    let mut ops = vec![queue(DESKTOP); 5];
    ops.extend([Op::Flush { device: DESKTOP }, wait(), Op::Backup]);
    ops.extend([queue(DESKTOP); 6]);
    ops.extend([
        Op::Flush { device: DESKTOP },
        wait(),
        Op::Crash { device: MOBILE, after_keeping: true },
        Op::Sync { device: MOBILE },
        wait(),
        Op::Restore,
        Op::Compact { rows: 24 },
        Op::Sync { device: MOBILE },
        wait(),
    ]);
    shows(Planted::Client(Mutation::SnapshotBelieved), &ops);
}
