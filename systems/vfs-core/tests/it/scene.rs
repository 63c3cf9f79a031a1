//! Short words for what the scenarios are made of.

use serde_json::json;
use vfs_core::feed::{FeedItem, FeedPage};
use vfs_core::model::{Model, Pull};
use vfs_core::page::{PullCycle, PulledPage};
use vfs_core::replay::Replay;
use vfs_core::{
    AccessLevel, Change, ClientId, Cursor, ItemId, OpId, OpType, Operation, Principal, PrincipalId,
    PrincipalType, PushReply, PushRequest, PushStatus, Timestamp, UserId, WriteId, WriteIdMap,
};

pub(crate) fn at(millisecond: i64) -> Timestamp {
    let noon: Timestamp = "2026-02-14T12:00:00.000Z".parse().expect("a time");
    noon.plus_millisecond(millisecond)
}

pub(crate) fn cursor(millisecond: i64, id: &str) -> Cursor {
    Cursor::new(at(millisecond), id).expect("a cursor")
}

pub(crate) fn item(id: &str) -> ItemId {
    ItemId::parse(id).expect("an item")
}

pub(crate) fn user(id: &str) -> UserId {
    UserId::parse(id).expect("a user")
}

pub(crate) fn client(id: &str) -> ClientId {
    ClientId::parse(id).expect("a client")
}

pub(crate) fn to(kind: PrincipalType, id: &str) -> Principal {
    Principal { kind, id: PrincipalId::parse(id).expect("a principal") }
}

pub(crate) fn write_ids(of: &[(&str, u64)]) -> WriteIdMap {
    of.iter().map(|(replica, id)| (client(replica), WriteId::new(*id).expect("a write id"))).collect()
}

pub(crate) fn acl_add(principal: Principal, level: AccessLevel) -> Change {
    Change::AclAdd { principal, level }
}

pub(crate) fn link_add(parent: &str) -> Change {
    Change::LinkAdd { parent_id: item(parent) }
}

pub(crate) fn link_remove(parent: &str) -> Change {
    Change::LinkRemove { parent_id: item(parent) }
}

/// An operation whose id is its replica and its write.
pub(crate) fn operation(
    replica: &str,
    write_id: u64,
    millisecond: i64,
    on: &str,
    change: Change,
) -> Operation {
    Operation {
        op_id: OpId::parse(&format!("{replica}-{write_id}")).expect("an id"),
        item_id: item(on),
        replica_id: client(replica),
        write_id: WriteId::new(write_id).expect("a write id"),
        occurred_at: at(millisecond),
        change,
    }
}

/// A link of `child` below `parent` in the feed.
pub(crate) fn fed_link(op_type: OpType, id: &str, millisecond: i64, parent: &str, child: &str) -> FeedItem {
    let change = if op_type == OpType::LinkAdd { link_add(parent) } else { link_remove(parent) };
    FeedItem::of(&operation("r", 1, 0, child, change), &cursor(millisecond, id), "u", "vfs_links", "l")
}

/// A grant in the feed.
pub(crate) fn fed_grant(
    id: &str,
    millisecond: i64,
    on: &str,
    principal: &str,
    level: AccessLevel,
) -> FeedItem {
    let change = acl_add(to(PrincipalType::User, principal), level);
    FeedItem::of(&operation("r", 1, 0, on, change), &cursor(millisecond, id), "u", "vfs_acl_entries", "e")
}

pub(crate) fn push(
    model: &mut Model,
    now: i64,
    who: &str,
    replica: &str,
    operations: &[Operation],
) -> PushReply {
    let body = json!({ "clientId": replica, "operations": operations });
    model.push(at(now), &user(who), &PushRequest::parse(&body).expect("a push"))
}

pub(crate) fn statuses(reply: &PushReply) -> Vec<PushStatus> {
    reply.results.iter().map(|result| result.status).collect()
}

/// A page as a client has it from the wire.
pub(crate) fn pulled(page: FeedPage) -> PulledPage {
    PulledPage {
        next_cursor: page.next_cursor.as_deref().map(|text| Cursor::decode(text).expect("a cursor")),
        items: page.items.into(),
        has_more: page.has_more,
        last_reconciled_write_ids: serde_json::to_value(&page.last_reconciled_write_ids).expect("JSON"),
    }
}

/// A reader of the model's feed, by the rules of pages.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) who: UserId,
    pub(crate) replay: Replay,
    pub(crate) received: Vec<String>,
}

impl Reader {
    pub(crate) fn new(who: &str) -> Self {
        Self { who: user(who), replay: Replay::new(), received: Vec::new() }
    }

    /// Pulls one page; whether there is more.
    pub(crate) fn pull(&mut self, model: &Model, now: i64, limit: usize, cycle: &mut PullCycle) -> bool {
        let before = self.replay.cursor().cloned();
        let pull = Pull { after: before.as_ref(), limit, root_id: None };
        let page = pulled(model.pull(at(now), &self.who, &pull).expect("a page"));
        let checked = cycle.check(before.as_ref(), before.as_ref(), &page).expect("an honest page");
        self.received.extend(page.items.iter().map(|item| item.op_id.to_owned()));
        self.replay.commit(&checked.replay);
        cycle.accept(&checked);
        checked.has_more
    }

    /// Pulls until there is no more.
    pub(crate) fn settle(&mut self, model: &Model, now: i64, limit: usize) {
        let mut cycle = PullCycle::default();
        while self.pull(model, now, limit, &mut cycle) {}
    }

    /// The parents that it knows of an item.
    pub(crate) fn parents(&self, child: &str) -> Vec<String> {
        let links = self.replay.snapshot().links;
        links.into_iter().filter(|link| link.child_id == child).map(|link| link.parent_id).collect()
    }
}
