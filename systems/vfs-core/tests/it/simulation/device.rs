//! A simulated device: a client, what it keeps, and what it may not forget.

use std::collections::BTreeSet;

use vfs_core::client::{Client, ExportedState, Mutation, Options, RequestId};
use vfs_core::feed::FeedItem;
use vfs_core::{Cursor, UserId, WriteId, WriteIdMap};

use super::lie::Lie;
use super::op::NetworkFault;
use super::server::user;

/// What a device keeps: its export, and what the world knows that it has read by then.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) export: ExportedState,
    pub(crate) received: Vec<String>,
}

/// How a device dies where it would keep its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    BeforeKeeping,
    AfterKeeping,
    DiskFull,
}

/// What may only grow while a client lives.
#[derive(Debug, Clone, Default)]
pub(crate) struct Floor {
    pub(crate) cursor: Option<Cursor>,
    pub(crate) write_ids: WriteIdMap,
    pub(crate) next: Option<WriteId>,
}

pub(crate) struct Device {
    pub(crate) who: UserId,
    pub(crate) options: Options,
    pub(crate) client: Client,
    /// Which life it is: replies to an earlier one do not reach it.
    pub(crate) life: u32,
    pub(crate) kept: Kept,
    pub(crate) older: Vec<Kept>,
    /// The ids of the items that were read, in order.
    pub(crate) received: Vec<String>,
    pub(crate) floor: Floor,
    pub(crate) clock: i64,
    /// The request that is out.
    pub(crate) out: Option<RequestId>,
    /// The items of the pages of this cycle.
    pub(crate) earlier: Vec<FeedItem>,
    /// How often in a row the answers of this flush were stale.
    pub(crate) stale: u32,
    pub(crate) dies: Option<Death>,
    pub(crate) network: Option<NetworkFault>,
    pub(crate) lies: Vec<Lie>,
    pub(crate) mutation: Option<Mutation>,
    /// Operations that the user was told are queued, and that nobody decided to drop.
    pub(crate) promised: BTreeSet<String>,
    /// Whether its last sync or flush ended well.
    pub(crate) is_settled: bool,
    /// The restores of the server before it took the state anew or was born.
    pub(crate) restores: u32,
    /// Whether its user was told to start over.
    pub(crate) must_start_over: bool,
    /// Whether it does so because it was told.
    pub(crate) is_starting_over: bool,
}

impl Device {
    pub(crate) fn new(who: &str, id: &str, limit: usize, mutation: Option<Mutation>) -> Self {
        let options = Options::new(who, id).expect("options").pull_limit(limit).expect("a limit");
        let client = Client::new(options.clone()).with_mutation(mutation);
        let kept = Kept { export: client.export_state(), received: Vec::new() };
        Self {
            who: user(who),
            options,
            client,
            life: 0,
            kept,
            older: Vec::new(),
            received: Vec::new(),
            floor: Floor::default(),
            clock: 0,
            out: None,
            earlier: Vec::new(),
            stale: 0,
            dies: None,
            network: None,
            lies: Vec::new(),
            mutation,
            promised: BTreeSet::new(),
            is_settled: false,
            restores: 0,
            must_start_over: false,
            is_starting_over: false,
        }
    }

    /// Keeps the state durably.
    pub(crate) fn keep(&mut self) {
        let kept = Kept { export: self.client.export_state(), received: self.received.clone() };
        let before = std::mem::replace(&mut self.kept, kept);
        if self.older.len() == 8 {
            self.older.remove(0);
        }
        self.older.push(before);
    }

    /// A client that knows nothing, in the next life.
    pub(crate) fn reborn(&mut self) {
        self.client = Client::new(self.options.clone()).with_mutation(self.mutation);
        self.life += 1;
        self.out = None;
        self.dies = None;
        self.earlier.clear();
        self.stale = 0;
        self.is_settled = false;
        (self.restores, self.must_start_over, self.is_starting_over) = (0, false, false);
        self.received.clone_from(&self.kept.received);
    }

    /// Takes the state that was kept for the least that the client must know from now on.
    pub(crate) fn refloor(&mut self) {
        self.floor = Floor::default();
        let _ = self.check_floor();
    }

    /// Nothing that only grows may have gone back.
    pub(crate) fn check_floor(&mut self) -> Result<(), String> {
        let snapshot = self.client.snapshot();
        let now = Floor {
            cursor: snapshot.cursor,
            write_ids: snapshot.last_reconciled_write_ids,
            next: Some(snapshot.next_local_write_id),
        };
        if now.cursor < self.floor.cursor {
            return Err("the cursor went back".to_owned());
        }
        if !now.write_ids.dominates(&self.floor.write_ids) {
            return Err("a known write went back".to_owned());
        }
        if now.next < self.floor.next {
            return Err("the next number went back".to_owned());
        }
        let own = now.write_ids.get(&self.options.client_id);
        if own.is_some_and(|own| now.next <= Some(own)) {
            return Err("the next number is one that was used".to_owned());
        }
        self.floor = now;
        Ok(())
    }
}
