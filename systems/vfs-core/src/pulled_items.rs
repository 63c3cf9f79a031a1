//! The items of a pulled page, as they came: left in the text of the page, or made one by one.

use std::fmt;

use crate::cursor::Cursor;
use crate::feed::FeedItem;
use crate::id::{ID_BYTES_MAX, trimmed};
use crate::operation::{AccessLevel, OpType, PrincipalType};
use crate::timestamp::Timestamp;

/// A place in the feed, without a text of its own. Ordered as [`Cursor`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place<'a> {
    /// When, by the server's order.
    pub changed_at: Timestamp,
    /// The id of the change.
    pub change_id: &'a str,
}

impl<'a> Place<'a> {
    /// A place at a change; `None` where [`Cursor::new`] is.
    #[must_use]
    pub fn new(changed_at: Timestamp, change_id: &'a str) -> Option<Self> {
        let change_id = trimmed(change_id);
        let fits = !change_id.is_empty() && change_id.len() <= ID_BYTES_MAX && !change_id.contains('\0');
        fits.then_some(Self { changed_at, change_id })
    }

    /// The place where a cursor stands.
    #[must_use]
    pub fn of(cursor: &'a Cursor) -> Self {
        Self { changed_at: cursor.changed_at, change_id: &cursor.change_id }
    }

    /// The cursor that stands there.
    #[must_use]
    pub fn cursor(self) -> Cursor {
        Cursor { changed_at: self.changed_at, change_id: self.change_id.to_owned() }
    }
}

/// One item of a page. The fields are those of [`FeedItem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PulledItem<'a> {
    /// The server's id of the event.
    pub op_id: &'a str,
    /// What it is about.
    pub item_id: &'a str,
    /// What it does.
    pub op_type: OpType,
    /// For access: to whom.
    pub principal_type: Option<PrincipalType>,
    /// For access: to whom.
    pub principal_id: Option<&'a str>,
    /// For `acl_add`: how much.
    pub access_level: Option<AccessLevel>,
    /// For links.
    pub parent_id: Option<&'a str>,
    /// For links: the item.
    pub child_id: Option<&'a str>,
    /// The user who did it, where one did.
    pub actor_id: Option<&'a str>,
    /// The table that it comes from.
    pub source_table: &'a str,
    /// What it comes from in that table.
    pub source_id: &'a str,
    /// Its time, as it came.
    pub occurred_at: &'a str,
    /// Its time; `None`: it is none.
    pub time: Option<Timestamp>,
}

impl<'a> PulledItem<'a> {
    /// An item as it is there already.
    #[must_use]
    pub fn of(item: &'a FeedItem) -> Self {
        Self {
            op_id: &item.op_id,
            item_id: &item.item_id,
            op_type: item.op_type,
            principal_type: item.principal_type,
            principal_id: item.principal_id.as_deref(),
            access_level: item.access_level,
            parent_id: item.parent_id.as_deref(),
            child_id: item.child_id.as_deref(),
            actor_id: item.actor_id.as_deref(),
            source_table: &item.source_table,
            source_id: &item.source_id,
            occurred_at: &item.occurred_at,
            time: item.time(),
        }
    }

    /// Where it stands in the feed; `None`: its id is blank or its time is none.
    #[must_use]
    pub fn place(&self) -> Option<Place<'a>> {
        Place::new(self.time?, self.op_id)
    }

    /// Whether parent, child and item can be those of a link.
    #[must_use]
    pub fn is_link(&self) -> bool {
        let filled = |id: Option<&str>| id.is_some_and(|id| !trimmed(id).is_empty());
        filled(self.parent_id)
            && filled(self.child_id)
            && self.child_id == Some(self.item_id)
            && self.parent_id != self.child_id
    }

    /// The same with texts of its own.
    #[must_use]
    pub fn to_feed_item(&self) -> FeedItem {
        FeedItem {
            op_id: self.op_id.to_owned(),
            item_id: self.item_id.to_owned(),
            op_type: self.op_type,
            principal_type: self.principal_type,
            principal_id: self.principal_id.map(str::to_owned),
            access_level: self.access_level,
            parent_id: self.parent_id.map(str::to_owned),
            child_id: self.child_id.map(str::to_owned),
            actor_id: self.actor_id.map(str::to_owned),
            source_table: self.source_table.to_owned(),
            source_id: self.source_id.to_owned(),
            occurred_at: self.occurred_at.to_owned(),
        }
    }
}

/// A part of a page's text: where it begins and where it ends, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// An item whose texts are parts of the page's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ItemSpans {
    pub(crate) op_id: Span,
    pub(crate) item_id: Span,
    pub(crate) op_type: OpType,
    pub(crate) principal_type: Option<PrincipalType>,
    pub(crate) principal_id: Option<Span>,
    pub(crate) access_level: Option<AccessLevel>,
    pub(crate) parent_id: Option<Span>,
    pub(crate) child_id: Option<Span>,
    pub(crate) actor_id: Option<Span>,
    pub(crate) source_table: Span,
    pub(crate) source_id: Span,
    pub(crate) occurred_at: Span,
    pub(crate) time: Timestamp,
}

impl ItemSpans {
    pub(crate) fn of(self, text: &str) -> PulledItem<'_> {
        let part = |span: Option<Span>| span.map(|span| span.of(text));
        PulledItem {
            op_id: self.op_id.of(text),
            item_id: self.item_id.of(text),
            op_type: self.op_type,
            principal_type: self.principal_type,
            principal_id: part(self.principal_id),
            access_level: self.access_level,
            parent_id: part(self.parent_id),
            child_id: part(self.child_id),
            actor_id: part(self.actor_id),
            source_table: self.source_table.of(text),
            source_id: self.source_id.of(text),
            occurred_at: self.occurred_at.of(text),
            time: Some(self.time),
        }
    }
}

/// The items of a page, in their order.
#[derive(Clone)]
pub struct PulledItems(Kept);

#[derive(Clone)]
enum Kept {
    /// Each with texts of its own.
    Made(Vec<FeedItem>),
    /// Parts of one text.
    Read { text: Box<str>, items: Vec<ItemSpans> },
}

impl PulledItems {
    /// Parts of a text.
    pub(crate) fn read(text: &str, items: Vec<ItemSpans>) -> Self {
        Self(Kept::Read { text: text.into(), items })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Kept::Made(items) => items.len(),
            Kept::Read { items, .. } => items.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One of them, from 0.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<PulledItem<'_>> {
        match &self.0 {
            Kept::Made(items) => items.get(index).map(PulledItem::of),
            Kept::Read { text, items } => items.get(index).map(|item| item.of(text)),
        }
    }

    /// The last of them.
    #[must_use]
    pub fn last(&self) -> Option<PulledItem<'_>> {
        self.get(self.len().checked_sub(1)?)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = PulledItem<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// All of them with texts of their own.
    #[must_use]
    pub fn to_vec(&self) -> Vec<FeedItem> {
        self.iter().map(|item| item.to_feed_item()).collect()
    }
}

impl From<Vec<FeedItem>> for PulledItems {
    fn from(items: Vec<FeedItem>) -> Self {
        Self(Kept::Made(items))
    }
}

impl FromIterator<FeedItem> for PulledItems {
    fn from_iter<T: IntoIterator<Item = FeedItem>>(items: T) -> Self {
        Self(Kept::Made(items.into_iter().collect()))
    }
}

impl PartialEq for PulledItems {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl fmt::Debug for PulledItems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
