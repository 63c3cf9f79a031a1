//! Generated histories: what must hold of the server's rules whatever is done, in whatever order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use vfs_core::model::Model;
use vfs_core::{
    AccessLevel, ClientId, Cursor, OpId, OpType, Operation, Position, PushStatus, ReconcileRequest,
    ReconcileState,
};

use crate::model::{of_alice, share};
use crate::scene::{
    Reader, at, client, cursor, item, link_add, link_remove, operation, push, statuses, user, write_ids,
};

/// What the generated histories are made of. Items are `a`, `b`, `c`, of alice; users are alice, bob and carol.
#[derive(Debug, Clone)]
enum Op {
    /// Alice pushes from one of two replicas, with this write id, a link of an item below `p` or `q`, or its end.
    Push { replica: usize, write_id: u64, op: u8, on: usize, parent: bool, is_add: bool },
    /// Alice shares an item with bob or carol.
    Grant { on: usize, with_bob: bool },
    /// And takes it back.
    Revoke { on: usize, with_bob: bool },
    /// And changes how much it is.
    Change { on: usize, with_bob: bool, level: usize },
    /// The table of links gets or loses a link below `folder`.
    Link { on: usize, is_add: bool },
    /// A user pulls one page.
    Pull { who: usize, limit: usize },
    /// A client of a user tells how far it is.
    Reconcile { who: usize, millisecond: i64, write_id: u64 },
    /// The clock is set, maybe back.
    Clock { millisecond: i64 },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0_usize..2, 1_u64..12, 0_u8..20, 0_usize..3, any::<bool>(), any::<bool>()).prop_map(
            |(replica, write_id, op, on, parent, is_add)| Op::Push { replica, write_id, op, on, parent, is_add }
        ),
        2 => (0_usize..3, any::<bool>()).prop_map(|(on, with_bob)| Op::Grant { on, with_bob }),
        1 => (0_usize..3, any::<bool>()).prop_map(|(on, with_bob)| Op::Revoke { on, with_bob }),
        1 => (0_usize..3, any::<bool>(), 0_usize..3)
            .prop_map(|(on, with_bob, level)| Op::Change { on, with_bob, level }),
        2 => (0_usize..3, any::<bool>()).prop_map(|(on, is_add)| Op::Link { on, is_add }),
        3 => (0_usize..3, 1_usize..4).prop_map(|(who, limit)| Op::Pull { who, limit }),
        1 => (0_usize..3, 0_i64..50, 1_u64..12)
            .prop_map(|(who, millisecond, write_id)| Op::Reconcile { who, millisecond, write_id }),
        1 => (0_i64..50).prop_map(|millisecond| Op::Clock { millisecond }),
    ];
    prop::collection::vec(op, 0..80)
}

const USERS: [&str; 3] = ["alice", "bob", "carol"];
const ITEMS: [&str; 3] = ["a", "b", "c"];

fn name(with_bob: bool) -> &'static str {
    if with_bob { "bob" } else { "carol" }
}

struct World {
    model: Model,
    readers: Vec<Reader>,
    now: i64,
    applied: BTreeMap<OpId, usize>,
    reconciled: BTreeMap<(usize, ClientId), ReconcileState>,
    /// Who lost access to what at some time.
    lost: BTreeSet<(&'static str, &'static str)>,
}

impl World {
    fn new() -> Self {
        let mut model = of_alice(&ITEMS);
        model.register(at(0), &user("alice"), &item("folder")).expect("new");
        let readers = USERS.iter().map(|who| Reader::new(who)).collect();
        Self {
            model,
            readers,
            now: 0,
            applied: BTreeMap::new(),
            reconciled: BTreeMap::new(),
            lost: BTreeSet::new(),
        }
    }

    fn perform(&mut self, op: Op) -> Result<(), TestCaseError> {
        let (now, alice) = (at(self.now), user("alice"));
        match op {
            Op::Push { replica, write_id, op, on, parent, is_add } => {
                let parent = if parent { "p" } else { "q" };
                let change = if is_add { link_add(parent) } else { link_remove(parent) };
                let replica = ["d", "e"][replica];
                let op_id = OpId::parse(&format!("op:{op}")).expect("an id");
                let sent =
                    Operation { op_id: op_id.clone(), ..operation(replica, write_id, -9, ITEMS[on], change) };
                let before = self.model.clone();
                let status = statuses(&push(&mut self.model, self.now, "alice", replica, &[sent]))[0];
                match status {
                    PushStatus::Applied => *self.applied.entry(op_id).or_default() += 1,
                    _ => prop_assert_eq!(&self.model, &before),
                }
            }
            Op::Grant { on, with_bob } => {
                let _ = self.model.grant(now, &alice, &share(ITEMS[on], name(with_bob)));
            }
            Op::Revoke { on, with_bob } => {
                let principal = share(ITEMS[on], name(with_bob)).principal;
                if self.model.revoke(now, &alice, &item(ITEMS[on]), &principal).is_ok() {
                    self.lost.insert((name(with_bob), ITEMS[on]));
                }
            }
            Op::Change { on, with_bob, level } => {
                let (on, principal) = (item(ITEMS[on]), share(ITEMS[on], name(with_bob)).principal);
                let level = Some(AccessLevel::ALL[level]);
                let _ = self.model.change_share(now, &alice, &on, &principal, level, None);
            }
            Op::Link { on, is_add: true } => {
                let made = self.model.link(now, &format!("link-{on}"), &item("folder"), &item(ITEMS[on]));
                prop_assert_eq!(made, Ok(()));
            }
            Op::Link { on, is_add: false } => self.model.unlink(now, &item("folder"), &item(ITEMS[on])),
            Op::Pull { who, limit } => {
                self.readers[who].pull(&self.model, self.now, limit, &mut Default::default());
            }
            Op::Reconcile { who, millisecond, write_id } => {
                let request = ReconcileRequest {
                    client_id: client("d"),
                    state: ReconcileState {
                        cursor: cursor(millisecond, "m"),
                        last_reconciled_write_ids: write_ids(&[("d", write_id)]),
                    },
                };
                let state = self.model.reconcile(&user(USERS[who]), &request);
                prop_assert!(
                    state.dominates(&request.state.cursor, &request.state.last_reconciled_write_ids)
                );
                if let Some(before) = self.reconciled.insert((who, client("d")), state.clone()) {
                    prop_assert!(state.dominates(&before.cursor, &before.last_reconciled_write_ids));
                }
            }
            Op::Clock { millisecond } => self.now = millisecond,
        }
        Ok(())
    }

    /// What must hold at any time.
    fn check(&self) -> Result<(), TestCaseError> {
        let mut places: Vec<Cursor> = self.model.operations().filter_map(|item| item.cursor()).collect();
        prop_assert_eq!(places.len(), self.model.operations().count());
        prop_assert!(places.is_sorted() && places.windows(2).all(|two| two[0] < two[1]));
        places.extend(self.model.changes().iter().map(|change| change.at.clone()));
        places.sort();
        let seqs: Vec<u64> =
            places.iter().filter_map(|at| Position::parse(&at.change_id)).map(|at| at.seq).collect();
        prop_assert_eq!(seqs, (1..=self.model.head().0.seq).collect::<Vec<u64>>());
        prop_assert!(self.applied.values().all(|times| *times == 1));
        Ok(())
    }
}

proptest! {
    #[test]
    fn whatever_is_done_the_order_holds_and_no_reader_misses_or_repeats_anything(ops in ops()) {
        let mut world = World::new();
        for op in ops {
            world.perform(op)?;
            world.check()?;
        }
        for (reader, who) in world.readers.iter_mut().zip(USERS) {
            reader.settle(&world.model, world.now, 2);
            let distinct: BTreeSet<&String> = reader.received.iter().collect();
            prop_assert_eq!(distinct.len(), reader.received.len());
            prop_assert!(reader.received.is_sorted());
            let known = reader.replay.snapshot();
            for on in ITEMS {
                let is_visible = world.model.is_visible(at(world.now), &user(who), &item(on));
                if who != "alice" {
                    // What is shared is known to be, and what is not is known not to be.
                    let is_known = known.acl.iter().any(|entry| entry.item_id == on && entry.principal_id == who);
                    prop_assert_eq!(is_known, is_visible, "{} of {}", on, who);
                    let told = world.model.operations().filter(|item| item.item_id == on)
                        .filter(|item| item.principal_id.as_deref() == Some(who)).last();
                    let level = known.acl.iter().find(|entry| entry.item_id == on && entry.principal_id == who);
                    prop_assert_eq!(level.map(|entry| entry.access_level), told.and_then(|told| told.access_level));
                }
                if is_visible {
                    // Where the table of links has it, it is.
                    let is_linked = world.model.operations().filter(|item| item.item_id == on)
                        .filter(|item| item.parent_id.as_deref() == Some("folder"))
                        .last().is_some_and(|item| item.op_type == OpType::LinkAdd);
                    let is_known = known.links.iter().any(|link| link.child_id == on && link.parent_id == "folder");
                    // Who lost it on the way may still know one whose end was read past meanwhile.
                    let is_right = if world.lost.contains(&(who, on)) { is_known >= is_linked } else { is_known == is_linked };
                    prop_assert!(is_right, "{} below folder, for {}", on, who);
                }
            }
        }
        // The owner has seen everything, whenever it was read.
        let mut anew = Reader::new("alice");
        anew.settle(&world.model, world.now, 500);
        prop_assert_eq!(&anew.received, &world.readers[0].received);
        prop_assert_eq!(anew.replay, world.readers[0].replay.clone());
    }
}
