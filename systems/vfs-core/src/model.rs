//! The server's rules as an executable model, with which a server's answers can be compared.
//!
//! It holds what the database holds, in memory, and does to it what the requests do, one at a time: each call is one
//! committed transaction. Time and ids are arguments. Positions are those that the database assigns: the head moves by
//! one for each row of either feed, and its time never goes back.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::access::Membership;
use crate::compaction::Horizon;
use crate::cursor::Cursor;
use crate::feed::FeedItem;
use crate::id::{ClientId, ItemId, OpId, ReplicaId, UserId, WriteId};
use crate::operation::{AccessLevel, OpType, Principal, PrincipalType};
use crate::position::Position;
use crate::reconcile::{ReconcileRequest, ReconcileState};
use crate::timestamp::Timestamp;

mod pulling;
mod pushing;
mod sharing;

pub use pulling::Pull;
pub use sharing::Share;

/// The table of operations that clients pushed.
pub const PUSH_TABLE: &str = "vfs_crdt_client_push";

/// The table of links.
pub const LINKS_TABLE: &str = "vfs_links";

/// The table of access.
pub const ACL_TABLE: &str = "vfs_acl_entries";

/// What was told of access before, told once more to whoever gets it now: that they lose something addresses nobody.
pub const ACL_AGAIN: &str = "vfs_acl_entries_again";

/// Why the model refuses. The texts are the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ModelError {
    /// The item is there.
    #[error("Item already registered in VFS")]
    AlreadyRegistered,
    /// The item is not there.
    #[error("Item not found")]
    ItemNotFound,
    /// The item is another's.
    #[error("Not authorized to share this item")]
    NotTheOwner,
    /// The principal has access.
    #[error("Share already exists")]
    ShareExists,
    /// The principal has no access.
    #[error("Share not found")]
    ShareNotFound,
    /// What the cursor has not seen is gone.
    #[error("CRDT cursor is older than retained history; re-materialization required")]
    Rematerialize,
    /// A page of no item, or of more than 500.
    #[error("limit must be an integer between 1 and 500")]
    Limit,
}

/// What an entry of the object feed says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeType {
    /// The item was made, changed or moved.
    Upsert,
    /// Who has access to it changed.
    Acl,
}

/// An entry of the object feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectChange {
    /// Where it stands.
    pub at: Cursor,
    /// What is about.
    pub item_id: ItemId,
    /// What it says.
    pub change_type: ChangeType,
    /// Who did it, where somebody did.
    pub by: Option<UserId>,
    /// The parent, where a link changed.
    pub root_id: Option<ItemId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    id: String,
    level: AccessLevel,
    expires_at: Option<Timestamp>,
    is_revoked: bool,
}

impl Entry {
    fn is_active(&self, now: Timestamp) -> bool {
        !self.is_revoked && self.expires_at.is_none_or(|expires_at| expires_at > now)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct LoggedOperation {
    seq: u64,
    at: Cursor,
    item: FeedItem,
}

/// What the database holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    epoch: u16,
    seq: u64,
    at: Timestamp,
    horizon: Horizon,
    users: BTreeMap<UserId, Membership>,
    owners: BTreeMap<ItemId, UserId>,
    /// By parent and child: the link's id.
    links: BTreeMap<(ItemId, ItemId), String>,
    entries: BTreeMap<(ItemId, Principal), Entry>,
    operations: Vec<LoggedOperation>,
    changes: Vec<ObjectChange>,
    pushed: BTreeSet<(UserId, OpId)>,
    heads: BTreeMap<(UserId, ReplicaId), WriteId>,
    states: BTreeMap<(UserId, ClientId), ReconcileState>,
}

/// The rows of a transaction for the feeds, without their positions.
#[derive(Debug, Default)]
struct Told(Vec<Row>);

#[derive(Debug)]
enum Row {
    Operation(Box<FeedItem>),
    Change { item_id: ItemId, change_type: ChangeType, by: Option<UserId>, root_id: Option<ItemId> },
}

impl Told {
    fn operation(&mut self, item: FeedItem) {
        self.0.push(Row::Operation(Box::new(item)));
    }

    fn change(&mut self, item_id: &ItemId, change_type: ChangeType, by: Option<&UserId>) {
        let (item_id, by) = (item_id.clone(), by.cloned());
        self.0.push(Row::Change { item_id, change_type, by, root_id: None });
    }

    fn moved(&mut self, item_id: &ItemId, root_id: &ItemId) {
        let (item_id, root_id) = (item_id.clone(), Some(root_id.clone()));
        self.0.push(Row::Change { item_id, change_type: ChangeType::Upsert, by: None, root_id });
    }
}

impl Model {
    /// An empty database whose head stands at `at`, in epoch 1.
    #[must_use]
    pub fn new(at: Timestamp) -> Self {
        Self {
            epoch: 1,
            seq: 0,
            at,
            horizon: Horizon { seq: 0, at },
            users: BTreeMap::new(),
            owners: BTreeMap::new(),
            links: BTreeMap::new(),
            entries: BTreeMap::new(),
            operations: Vec::new(),
            changes: Vec::new(),
            pushed: BTreeSet::new(),
            heads: BTreeMap::new(),
            states: BTreeMap::new(),
        }
    }

    /// Begins the next epoch of the feeds, as is done once the database was restored from a backup. Positions go on after
    /// those that it holds; the answer is the last of them.
    pub fn begin_epoch(&mut self) -> u64 {
        self.epoch = self.epoch.saturating_add(1);
        self.seq
    }

    /// Puts a user into groups and organisations, instead of those it was in.
    pub fn set_membership(&mut self, user: UserId, membership: Membership) {
        self.users.insert(user, membership);
    }

    /// Registers an item, as its owner.
    ///
    /// # Errors
    /// [`ModelError::AlreadyRegistered`].
    pub fn register(&mut self, now: Timestamp, owner: &UserId, item_id: &ItemId) -> Result<(), ModelError> {
        if self.owners.contains_key(item_id) {
            return Err(ModelError::AlreadyRegistered);
        }
        self.owners.insert(item_id.clone(), owner.clone());
        let mut told = Told::default();
        told.change(item_id, ChangeType::Upsert, Some(owner));
        self.tell(now, told);
        Ok(())
    }

    /// Puts an item below another in the table of links, unless it is there.
    ///
    /// # Errors
    /// [`ModelError::ItemNotFound`]: one of both is not registered.
    pub fn link(
        &mut self,
        now: Timestamp,
        link_id: &str,
        parent_id: &ItemId,
        child_id: &ItemId,
    ) -> Result<(), ModelError> {
        if !self.owners.contains_key(parent_id) || !self.owners.contains_key(child_id) {
            return Err(ModelError::ItemNotFound);
        }
        let key = (parent_id.clone(), child_id.clone());
        if let std::collections::btree_map::Entry::Vacant(place) = self.links.entry(key) {
            place.insert(link_id.to_owned());
            self.tell_link(now, OpType::LinkAdd, link_id, parent_id, child_id);
        }
        Ok(())
    }

    /// Takes an item from below another in the table of links, if it is there.
    pub fn unlink(&mut self, now: Timestamp, parent_id: &ItemId, child_id: &ItemId) {
        if let Some(link_id) = self.links.remove(&(parent_id.clone(), child_id.clone())) {
            self.tell_link(now, OpType::LinkRemove, &link_id, parent_id, child_id);
        }
    }

    fn tell_link(
        &mut self,
        now: Timestamp,
        op_type: OpType,
        link_id: &str,
        parent_id: &ItemId,
        child_id: &ItemId,
    ) {
        let mut told = Told::default();
        told.operation(link_item(op_type, parent_id, child_id, LINKS_TABLE, link_id));
        told.moved(child_id, parent_id);
        self.tell(now, told);
    }

    /// Reconciles: remembers the later cursor and the larger writes, and answers what it then remembers.
    pub fn reconcile(&mut self, user: &UserId, request: &ReconcileRequest) -> ReconcileState {
        let key = (user.clone(), request.client_id.clone());
        let merged = match self.states.get(&key) {
            Some(stored) => stored.clone().merged(&request.state),
            None => request.state.clone(),
        };
        self.states.insert(key, merged.clone());
        merged
    }

    /// What a user's client has reconciled; `None`: nothing yet.
    #[must_use]
    pub fn reconciled(&self, user: &UserId, client_id: &ClientId) -> Option<&ReconcileState> {
        self.states.get(&(user.clone(), client_id.clone()))
    }

    /// Forgets operations before `cutoff`, oldest first and `rows_max` at most, and moves the horizon there. The ids
    /// of what was pushed, and the last writes of replicas, stay known.
    pub fn compact(&mut self, cutoff: Timestamp, rows_max: usize) -> Horizon {
        let left = self.operations.iter().map(|logged| (logged.at.changed_at, logged.seq));
        self.horizon = self.horizon.after(cutoff, left, rows_max);
        self.operations.retain(|logged| logged.seq > self.horizon.seq);
        self.horizon
    }

    /// The object feed, in its order.
    #[must_use]
    pub fn changes(&self) -> &[ObjectChange] {
        &self.changes
    }

    /// The operation feed, in its order, whoever sees it.
    pub fn operations(&self) -> impl Iterator<Item = &FeedItem> {
        self.operations.iter().map(|logged| &logged.item)
    }

    /// Where the head stands: the last position that was given, and its time.
    #[must_use]
    pub fn head(&self) -> (Position, Timestamp) {
        (Position { epoch: self.epoch, seq: self.seq }, self.at)
    }

    /// Whether a user sees an item: it is the user's, or there is an active entry for one of the user's principals.
    #[must_use]
    pub fn is_visible(&self, now: Timestamp, user: &UserId, item_id: &ItemId) -> bool {
        self.owners.get(item_id) == Some(user)
            || self
                .entries
                .iter()
                .filter(|((entry_item, _), entry)| entry_item == item_id && entry.is_active(now))
                .any(|((_, principal), _)| self.is_one_of(user, principal))
    }

    /// Whether a principal is the user, or a group or organisation that the user is in.
    fn is_one_of(&self, user: &UserId, principal: &Principal) -> bool {
        let membership = self.users.get(user);
        match principal.kind {
            PrincipalType::User => principal.id.as_str() == user.as_str(),
            PrincipalType::Group => membership.is_some_and(|is| is.groups.contains(&principal.id)),
            PrincipalType::Organization => {
                membership.is_some_and(|is| is.organizations.contains(&principal.id))
            }
        }
    }

    /// Gives rows their positions at the head, in their order, all at one time.
    fn tell(&mut self, now: Timestamp, told: Told) {
        if told.0.is_empty() {
            return;
        }
        self.at = self.at.max(now);
        for row in told.0 {
            self.seq += 1;
            let at = Position { epoch: self.epoch, seq: self.seq }.at(self.at);
            match row {
                Row::Operation(mut item) => {
                    item.op_id.clone_from(&at.change_id);
                    item.occurred_at = at.changed_at.to_string();
                    self.operations.push(LoggedOperation { seq: self.seq, at, item: *item });
                }
                Row::Change { item_id, change_type, by, root_id } => {
                    self.changes.push(ObjectChange { at, item_id, change_type, by, root_id });
                }
            }
        }
    }
}

/// An item of the feed without a place yet.
fn link_item(
    op_type: OpType,
    parent_id: &ItemId,
    child_id: &ItemId,
    source_table: &str,
    source_id: &str,
) -> FeedItem {
    FeedItem {
        op_id: String::new(),
        item_id: child_id.to_string(),
        op_type,
        principal_type: None,
        principal_id: None,
        access_level: None,
        parent_id: Some(parent_id.to_string()),
        child_id: Some(child_id.to_string()),
        actor_id: None,
        source_table: source_table.to_owned(),
        source_id: source_id.to_owned(),
        occurred_at: String::new(),
    }
}
