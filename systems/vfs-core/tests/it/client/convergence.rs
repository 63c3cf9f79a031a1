//! Clients of one user, their exchanges in random turns, end where the server is.

use vfs_core::client::LocalOperation;
use vfs_core::container_clock::ContainerClocks;
use vfs_core::replay::{Replay, check_page};
use vfs_core::{AccessLevel, FeedItem, OpType, PrincipalType};

use super::ground::{Desk, Hub};
use crate::lcg::Lcg;
use crate::scene::at;

const ITEMS: [&str; 4] = ["item-1", "item-2", "item-3", "item-4"];
const PARENTS: [&str; 3] = ["root", "folder-1", "folder-2"];
const CLIENTS: [&str; 3] = ["desktop", "mobile", "tablet"];

struct Round {
    hub: Hub,
    desks: Vec<Desk>,
    lcg: Lcg,
    named: u32,
}

impl Round {
    fn new(seed: u32) -> Self {
        let mut lcg = Lcg::new(seed);
        let desks = CLIENTS.iter().map(|id| Desk::new(id, lcg.between(1, 3) as usize)).collect();
        Self { hub: Hub::with(&ITEMS), desks, lcg, named: 0 }
    }

    fn local(&mut self) -> LocalOperation {
        let (item, parent) = (*self.lcg.pick(&ITEMS), *self.lcg.pick(&PARENTS));
        let level = *self.lcg.pick(AccessLevel::ALL);
        let local = match self.lcg.between(0, 3) {
            0 => LocalOperation::link(OpType::LinkAdd, parent, item),
            1 => LocalOperation::link(OpType::LinkRemove, parent, item),
            2 => LocalOperation::grant(item, PrincipalType::Group, parent, level),
            _ => LocalOperation::revoke(item, PrincipalType::Group, parent),
        };
        self.named += 1;
        local.named(&format!("op-{}", self.named))
    }

    /// Two clients flush or sync at once, their requests answered in random turns.
    fn pair(&mut self) {
        let first = self.lcg.between(0, 2) as usize;
        let second = (first + self.lcg.between(1, 2) as usize) % CLIENTS.len();
        for desk in [first, second] {
            let begun = if self.lcg.between(0, 1) == 0 {
                self.desks[desk].client.flush()
            } else {
                self.desks[desk].client.sync()
            };
            self.desks[desk].begin(begun);
        }
        let mut running = vec![first, second];
        while !running.is_empty() {
            let turn = *self.lcg.pick(&running);
            self.hub.now = self.hub.now.plus_millisecond(i64::from(self.lcg.between(0, 4)));
            let body = self.hub.answer(self.desks[turn].asked().expect("a request"));
            self.desks[turn].answer(body);
            if let Some(ended) = self.desks[turn].ended() {
                ended.expect("an honest server");
                running.retain(|desk| *desk != turn);
            }
        }
    }

    fn random(&mut self) {
        let desk = self.lcg.between(0, 2) as usize;
        let local = self.local();
        let time = i64::from(self.lcg.between(0, 50));
        self.desks[desk].queue(&local, time);
        self.pair();
    }

    fn settle(&mut self) {
        for desk in &mut self.desks {
            desk.flush(|request| self.hub.answer(request)).unwrap();
        }
        for _ in 0..3 {
            for desk in &mut self.desks {
                desk.sync(|request| self.hub.answer(request)).unwrap();
            }
        }
    }

    fn expect_converged(&self) {
        let feed: Vec<FeedItem> = self.hub.model.operations().cloned().collect();
        let (mut replay, mut clocks) = (Replay::new(), ContainerClocks::new());
        let whole = check_page(None, &feed).unwrap();
        replay.commit(&whole);
        clocks.apply_page(&whole);
        for desk in &self.desks {
            let export = desk.client.export_state();
            assert_eq!(export.pending_operations, []);
            assert_eq!(export.replay_snapshot, replay.snapshot());
            assert_eq!(export.container_clocks, clocks.snapshot());
            let known = export.reconcile_state.expect("something was read").last_reconciled_write_ids;
            assert_eq!(known, self.hub.model.write_ids(&self.hub.who));
            let own = known.get(&desk.client.options().client_id);
            assert!(own.is_none_or(|own| export.next_local_write_id > own));
            assert_eq!(desk.signatures(), [""; 0]);
        }
        assert_eq!(feed.len(), self.named as usize, "each operation is in the feed once");
    }

    /// What tells two runs of one seed apart.
    fn signature(&self) -> Vec<String> {
        self.desks.iter().map(|desk| format!("{} {:?}", desk.export(), desk.sent)).collect()
    }
}

#[test]
fn three_clients_with_small_pages_converge_after_sixty_random_rounds() {
    let mut round = Round::new(1_220);
    for _ in 0..60 {
        round.random();
    }
    round.settle();
    round.expect_converged();
}

#[test]
fn they_converge_though_clients_restart_from_their_exports() {
    let mut round = Round::new(1_221);
    let mut restarts = 0;
    for _ in 0..55 {
        round.random();
        let desk = round.lcg.between(0, 2) as usize;
        if round.lcg.between(0, 3) == 0 && round.desks[desk].client.pending().is_empty() {
            let floor = round.desks[desk].client.cursor().cloned();
            let again = round.desks[desk].restarted();
            assert_eq!(again.client.export_state(), round.desks[desk].client.export_state());
            assert!(again.client.cursor() >= floor.as_ref());
            round.desks[desk] = again;
            restarts += 1;
        }
    }
    assert!(restarts > 3, "{restarts}");
    round.settle();
    round.expect_converged();
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 1_224..=1_226 {
        let run = || {
            let mut round = Round::new(seed);
            for _ in 0..40 {
                round.random();
            }
            round.settle();
            round.expect_converged();
            round.signature()
        };
        assert_eq!(run(), run());
    }
}

#[test]
fn cursors_only_rise_while_pages_come_in() {
    let mut round = Round::new(1_227);
    let mut floors = vec![None; CLIENTS.len()];
    for _ in 0..30 {
        round.random();
        for (floor, desk) in floors.iter_mut().zip(&round.desks) {
            let cursor = desk.client.cursor().cloned();
            assert!(cursor >= *floor);
            *floor = cursor;
        }
    }
    assert!(floors.iter().all(|floor| floor.as_ref().is_some_and(|floor| floor.changed_at >= at(0))));
}
