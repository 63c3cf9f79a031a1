//! The simulated server: the model of its rules, what it ever told, and faults that can be planted in it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vfs_core::access::Membership;
use vfs_core::client::{Failure, FeedEpoch, QueuedOperation, Reply, ReplyBody, Request};
use vfs_core::container_clock::ContainerClocks;
use vfs_core::feed::FeedItem;
use vfs_core::model::{Model, PUSH_TABLE, Pull, Share};
use vfs_core::page::PulledPage;
use vfs_core::reconcile::ReconcileRequest;
use vfs_core::replay::{Replay, ValidPage, check_page};
use vfs_core::{
    AccessLevel, ClientId, Cursor, ItemId, OpId, Principal, PrincipalId, PrincipalType, PushRequest,
    PushStatus, Pushed, Timestamp, UserId,
};

/// One planted fault of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerMutation {
    /// A repeated operation is applied again.
    DedupeOff,
    /// A page goes on after the time of the cursor, not after its place.
    CursorByTimeOnly,
    /// A write is answered before its commit, and lost by the crash that follows.
    AnsweredBeforeCommit,
    /// A reader passes an operation whose transaction is still open.
    OpenWriterPassed,
    /// The last known writes are those that were in the page's operations, not all.
    HeadsForgotten,
    /// A stale write is answered as if it had been applied.
    StaleAnsweredApplied,
}

impl ServerMutation {
    pub(crate) const ALL: &'static [Self] = &[
        Self::DedupeOff,
        Self::CursorByTimeOnly,
        Self::AnsweredBeforeCommit,
        Self::OpenWriterPassed,
        Self::HeadsForgotten,
        Self::StaleAnsweredApplied,
    ];
}

/// What became of a request.
pub(crate) enum Answered {
    /// An honest answer.
    Reply(Reply),
    /// The server died; there is no answer.
    Died,
}

pub(crate) struct Server {
    pub(crate) model: Model,
    /// Every operation that was ever told, in order, compacted or not.
    pub(crate) log: Vec<FeedItem>,
    /// How often each pushed operation is in the log.
    pub(crate) applied: BTreeMap<(UserId, String), u32>,
    /// Dies in the next write; whether after the commit.
    pub(crate) dies: Option<bool>,
    pub(crate) mutation: Option<ServerMutation>,
    pub(super) feed: FeedEpoch,
    compacted: usize,
    renamed: u32,
}

/// A copy of what the server holds.
#[derive(Clone)]
pub(crate) struct Backup {
    model: Model,
    log: Vec<FeedItem>,
    applied: BTreeMap<(UserId, String), u32>,
    compacted: usize,
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a user")
}

pub(crate) fn item(name: &str) -> ItemId {
    ItemId::parse(name).expect("an item")
}

fn bob() -> Principal {
    Principal { kind: PrincipalType::User, id: PrincipalId::parse("bob").expect("a principal") }
}

impl Server {
    pub(crate) fn new(now: Timestamp, owned: &[(&str, String)], mutation: Option<ServerMutation>) -> Self {
        let mut model = Model::new(now);
        for (owner, id) in owned {
            model.set_membership(user(owner), Membership::default());
            model.register(now, &user(owner), &item(id)).expect("new");
        }
        Self {
            model,
            log: Vec::new(),
            applied: BTreeMap::new(),
            dies: None,
            mutation,
            feed: FeedEpoch { epoch: 1, began_after_seq: Some(0) },
            compacted: 0,
            renamed: 0,
        }
    }

    pub(crate) fn backup(&self) -> Backup {
        Backup {
            model: self.model.clone(),
            log: self.log.clone(),
            applied: self.applied.clone(),
            compacted: self.compacted,
        }
    }

    /// Sets the server back to a copy, in a new epoch.
    pub(crate) fn restore(&mut self, backup: &Backup) {
        let Backup { model, log, applied, compacted } = backup.clone();
        (self.model, self.log, self.applied, self.compacted) = (model, log, applied, compacted);
        let mut began_after_seq = 0;
        // The copy may be of an epoch that is over for long.
        while self.model.head().0.epoch <= self.feed.epoch {
            began_after_seq = self.model.begin_epoch();
        }
        let epoch = self.model.head().0.epoch;
        self.feed = FeedEpoch { epoch, began_after_seq: Some(began_after_seq) };
    }

    pub(crate) fn answer(&mut self, now: Timestamp, who: &UserId, request: &Request) -> Answered {
        let body = match request {
            Request::Push { client_id, operations } => match self.push(now, who, client_id, operations) {
                Some(results) => ReplyBody::Pushed(results),
                None => return Answered::Died,
            },
            Request::Pull { cursor, limit } => self.pull(now, who, cursor.clone(), usize::from(*limit)),
            Request::Reconcile { client_id, state } => {
                let request = ReconcileRequest { client_id: client_id.clone(), state: state.clone() };
                let kept = self.model.reconcile(who, &request);
                let write_ids = serde_json::to_value(&kept.last_reconciled_write_ids).expect("JSON");
                ReplyBody::Reconciled { cursor: Some(kept.cursor), write_ids }
            }
            Request::Snapshot => ReplyBody::Snapshot(self.snapshot(now, who)),
        };
        Answered::Reply(Reply { feed: Some(self.feed), body })
    }

    fn push(
        &mut self,
        now: Timestamp,
        who: &UserId,
        client_id: &ClientId,
        operations: &[QueuedOperation],
    ) -> Option<Value> {
        let dies = self.dies.take();
        if dies == Some(false) && self.mutation != Some(ServerMutation::AnsweredBeforeCommit) {
            return None;
        }
        let names: Vec<String> = operations.iter().map(|queued| queued.operation.op_id.to_string()).collect();
        let pushed =
            operations.iter().map(|queued| Pushed::Valid(self.distorted(queued).operation)).collect();
        let request = PushRequest { client_id: client_id.clone(), operations: pushed };
        let before = (dies == Some(false)).then(|| self.model.clone());
        let reply = self.model.push(now, who, &request);
        if let Some(before) = before {
            self.model = before;
        }
        self.note();
        if dies == Some(true) {
            return None;
        }
        let is_stale_hidden = self.mutation == Some(ServerMutation::StaleAnsweredApplied);
        let results = names.iter().zip(reply.results).map(|(op_id, result)| {
            let status = match result.status {
                PushStatus::StaleWriteId if is_stale_hidden => PushStatus::Applied,
                status => status,
            };
            json!({ "opId": op_id, "status": status })
        });
        Some(results.collect())
    }

    /// An operation as a planted fault makes the server see it.
    fn distorted(&mut self, queued: &QueuedOperation) -> QueuedOperation {
        let mut queued = queued.clone();
        self.renamed += 1;
        if self.mutation == Some(ServerMutation::DedupeOff) {
            let name = format!("{}~{}", queued.operation.op_id, self.renamed);
            queued.operation.op_id = OpId::parse(&name).expect("an id");
        }
        queued
    }

    fn pull(&mut self, now: Timestamp, who: &UserId, mut after: Option<Cursor>, limit: usize) -> ReplyBody {
        if self.mutation == Some(ServerMutation::CursorByTimeOnly)
            && let Some(after) = &mut after
        {
            after.change_id = "9999-9999999999999999".to_owned();
        }
        let pull = Pull { after: after.as_ref(), limit, root_id: None };
        let Ok(page) = self.model.pull(now, who, &pull) else {
            return ReplyBody::Failed(Failure::RematerializationRequired { oldest_available: None });
        };
        let mut items = page.items;
        if self.mutation == Some(ServerMutation::OpenWriterPassed) && items.len() > 2 && !page.has_more {
            items.remove(items.len() - 2);
        }
        let mut write_ids = serde_json::to_value(&page.last_reconciled_write_ids).expect("JSON");
        if self.mutation == Some(ServerMutation::HeadsForgotten) && self.compacted > 0 {
            write_ids = json!({});
            for (replica, _) in page.last_reconciled_write_ids.iter() {
                write_ids[replica.as_str()] = json!(1);
            }
        }
        ReplyBody::Pulled(PulledPage {
            next_cursor: page.next_cursor.as_deref().and_then(Cursor::decode),
            items: items.into(),
            has_more: page.has_more,
            last_reconciled_write_ids: write_ids,
        })
    }

    /// What stands for a user at the end of the feed.
    fn snapshot(&self, now: Timestamp, who: &UserId) -> Option<Value> {
        let seen: Vec<FeedItem> = self
            .log
            .iter()
            .filter(|told| self.model.is_visible(now, who, &item(&told.item_id)))
            .cloned()
            .collect();
        let (mut replay, mut clocks) = (Replay::new(), ContainerClocks::new());
        let whole = check_page(None, &seen).ok()?;
        replay.commit(&whole);
        clocks.apply_page(&whole);
        // The end of the whole feed, so that nothing before it is asked for again.
        let end = self.log.last()?.cursor()?;
        let mut snapshot = replay.snapshot();
        snapshot.cursor = Some(end.clone());
        Some(json!({
            "replaySnapshot": snapshot,
            "reconcileState": { "cursor": end, "lastReconciledWriteIds": self.model.write_ids(who) },
            "containerClocks": clocks.snapshot(),
        }))
    }

    /// What anybody who has read everything about some items has of them.
    pub(crate) fn fold(&self, of: impl Fn(&FeedItem) -> bool) -> (Replay, ContainerClocks) {
        let seen: Vec<FeedItem> = self.log.iter().filter(|told| of(told)).cloned().collect();
        let (mut replay, mut clocks) = (Replay::new(), ContainerClocks::new());
        let whole: ValidPage = check_page(None, &seen).expect("the feed is in order");
        replay.commit(&whole);
        clocks.apply_page(&whole);
        (replay, clocks)
    }

    pub(crate) fn share(&mut self, now: Timestamp, id: &str, number: u64) -> bool {
        let share = Share {
            entry_id: format!("share-{number}"),
            item_id: item(id),
            principal: bob(),
            level: AccessLevel::Read,
            expires_at: None,
        };
        let shared = self.model.grant(now, &user("alice"), &share).is_ok();
        self.note();
        shared
    }

    pub(crate) fn revoke(&mut self, now: Timestamp, id: &str) -> bool {
        let revoked = self.model.revoke(now, &user("alice"), &item(id), &bob()).is_ok();
        self.note();
        revoked
    }

    pub(crate) fn compact(&mut self, rows: usize) -> usize {
        let before = self.model.operations().count();
        self.model.compact(Timestamp::MAX, rows.min(before));
        let gone = before - self.model.operations().count();
        self.compacted += gone;
        gone
    }

    /// Takes note of what is new in the feed.
    fn note(&mut self) {
        let known = self.log.len() - self.compacted;
        for told in self.model.operations().skip(known) {
            if told.source_table == PUSH_TABLE {
                let mut parts = told.source_id.splitn(4, ':');
                let (who, op_id) = (parts.next().unwrap_or_default(), parts.last().unwrap_or_default());
                let op_id = op_id.split('~').next().unwrap_or_default();
                *self.applied.entry((user(who), op_id.to_owned())).or_default() += 1;
            }
            self.log.push(told.clone());
        }
    }
}
