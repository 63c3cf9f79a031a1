//! Two clients move one item at the same time, and a third reads along in pages.

use vfs_core::model::{Model, Share};
use vfs_core::{AccessLevel, Operation, PrincipalType, PushStatus};

use crate::lcg::Lcg;
use crate::scene::{Reader, at, item, link_add, link_remove, operation, push, statuses, to, user};

const FOLDERS: [&str; 4] = ["root", "left", "right", "attic"];

/// A move as a client pushes it: out of every other folder, into one, in one push.
fn moved(replica: &str, first_write: u64, to: &str) -> Vec<Operation> {
    let out = FOLDERS.iter().filter(|folder| **folder != to).map(|folder| link_remove(folder));
    let changes = out.chain([link_add(to)]);
    (first_write..)
        .zip(changes)
        .map(|(write_id, change)| operation(replica, write_id, 0, "file", change))
        .collect()
}

fn owned_by_alice() -> Model {
    let mut model = Model::new(at(0));
    for id in FOLDERS.iter().chain(&["file"]) {
        model.register(at(0), &user("alice"), &item(id)).expect("new");
    }
    model
}

fn share_with_bob(id: &str) -> Share {
    Share {
        entry_id: format!("share:{id}"),
        item_id: item(id),
        principal: to(PrincipalType::User, "bob"),
        level: AccessLevel::Read,
        expires_at: None,
    }
}

#[test]
fn moves_at_the_same_time_leave_the_item_in_one_place() {
    for seed in [1_441, 1_442, 1_551, 1_552, 1_553] {
        let mut lcg = Lcg::new(seed);
        let mut model = owned_by_alice();
        push(&mut model, 0, "alice", "desktop", &moved("desktop", 1, "root"));
        let mut writes = [("desktop", 5), ("phone", 1)];
        let mut reader = Reader::new("alice");
        for round in 1..30 {
            // Both have decided before either has heard of the other; who is first is open.
            let mut moves = writes.map(|(replica, write)| moved(replica, write, lcg.pick::<&str>(&FOLDERS)));
            lcg.shuffle(&mut moves);
            for operations in &moves {
                let replica = operations[0].replica_id.to_string();
                let got = statuses(&push(&mut model, round, "alice", &replica, operations));
                assert_eq!(got, vec![PushStatus::Applied; FOLDERS.len()], "seed {seed}");
            }
            for (_, write) in &mut writes {
                *write += FOLDERS.len() as u64;
            }
            reader.settle(&model, round, lcg.between(1, 3) as usize);
            assert_eq!(reader.parents("file").len(), 1, "seed {seed}, round {round}");
        }
        let mut late = Reader::new("alice");
        late.settle(&model, 30, 500);
        assert_eq!(late.replay.snapshot(), reader.replay.snapshot());
        assert_eq!(late.received, reader.received);
    }
}

#[test]
fn a_move_and_a_revocation_between_two_pages_end_in_what_is_still_shared() {
    for seed in [1_771, 1_772, 1_773] {
        let mut lcg = Lcg::new(seed);
        let mut model = owned_by_alice();
        push(&mut model, 1, "alice", "desktop", &moved("desktop", 1, "root"));
        for id in ["file", "left"] {
            model.grant(at(2), &user("alice"), &share_with_bob(id)).expect("shared");
        }
        let limit = lcg.between(1, 3) as usize;
        let mut bob = Reader::new("bob");
        // Some pages before, the rest after: the page that was open when it was revoked stays applied.
        let mut cycle = vfs_core::page::PullCycle::default();
        for _ in 0..lcg.between(1, 2) {
            bob.pull(&model, 3, limit, &mut cycle);
        }
        push(&mut model, 4, "alice", "desktop", &moved("desktop", 5, "left"));
        model.revoke(at(5), &user("alice"), &item("file"), &to(PrincipalType::User, "bob")).expect("revoked");
        push(&mut model, 6, "alice", "desktop", &moved("desktop", 9, "attic"));
        while bob.pull(&model, 7, limit, &mut cycle) {}
        bob.settle(&model, 7, limit);

        let shared: Vec<String> = bob.replay.snapshot().acl.into_iter().map(|entry| entry.item_id).collect();
        assert_eq!(shared, ["left"], "seed {seed}");
        // What came after the revocation is not told to who lost it.
        assert!(!bob.parents("file").contains(&"attic".to_owned()), "seed {seed}");
        let mut alice = Reader::new("alice");
        alice.settle(&model, 7, limit);
        assert_eq!(alice.parents("file"), ["attic"]);
    }
}
