//! Replaying the feed: what a client has of it. The order of the feed is the authority; nothing is compared but places.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cursor::Cursor;
use crate::feed::FeedItem;
use crate::id::trimmed;
use crate::operation::{AccessLevel, OpType, PrincipalType};
use crate::pulled_items::{Place, PulledItem};

/// Why a page cannot be replayed. Nothing of it has been.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// An item's id is blank, or its time is none.
    #[error("CRDT feed item {index} has invalid cursor fields")]
    InvalidCursor {
        /// Which, from 0.
        index: usize,
    },
    /// An item is not after what has been replayed.
    #[error("CRDT feed item {index} is not strictly newer than local cursor")]
    NonMonotonicCursor {
        /// Which, from 0.
        index: usize,
    },
    /// An item on access does not say whose.
    #[error("CRDT feed item {index} is missing principal fields")]
    MissingPrincipal {
        /// Which, from 0.
        index: usize,
    },
    /// An item that gives access does not say how much.
    #[error("CRDT feed item {index} is missing access level")]
    MissingAccessLevel {
        /// Which, from 0.
        index: usize,
    },
    /// An item on a link does not say which.
    #[error("CRDT feed item {index} is missing link fields")]
    MissingLink {
        /// Which, from 0.
        index: usize,
    },
}

impl ReplayError {
    /// The code by which it is told apart.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidCursor { .. } => "invalidCursor",
            Self::NonMonotonicCursor { .. } => "nonMonotonicCursor",
            Self::MissingPrincipal { .. } | Self::MissingAccessLevel { .. } => "invalidAclOperation",
            Self::MissingLink { .. } => "invalidLinkOperation",
        }
    }
}

/// Why a snapshot cannot be taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReplaySnapshotError {
    /// One principal stands twice for one item.
    #[error("snapshot acl contains duplicate principal entry")]
    DuplicatePrincipal,
    /// One link stands twice.
    #[error("snapshot links contain duplicate edge")]
    DuplicateLink,
}

/// Access, as replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayedAcl {
    /// To what.
    pub item_id: String,
    /// Who has it.
    pub principal_type: PrincipalType,
    /// Who has it.
    pub principal_id: String,
    /// How much.
    pub access_level: AccessLevel,
}

/// A link, as replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayedLink {
    /// Below what.
    pub parent_id: String,
    /// Which item.
    pub child_id: String,
}

/// What has been replayed, sorted by the bytes of its keys.
///
/// What was taken away leaves no trace: the cursor forbids going back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplaySnapshot {
    /// By item, type of principal, principal.
    pub acl: Vec<ReplayedAcl>,
    /// By parent, child.
    pub links: Vec<ReplayedLink>,
    /// Up to where; null: nothing yet.
    pub cursor: Option<Cursor>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write<'a> {
    Acl { item_id: &'a str, principal_type: PrincipalType, principal_id: &'a str, level: Option<AccessLevel> },
    Link { parent_id: &'a str, child_id: &'a str, is_present: bool },
}

/// A page that can be replayed, item by item, each after the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidPage<'a>(Vec<(Place<'a>, Write<'a>)>);

impl<'a> ValidPage<'a> {
    /// Where its last item stands; `None`: it is empty.
    #[must_use]
    pub fn tail(&self) -> Option<Place<'a>> {
        self.0.last().map(|(place, _)| *place)
    }

    /// The container of each item, in order: the parent of a link, the item of access.
    pub fn containers(&self) -> impl Iterator<Item = (&'a str, Place<'a>)> {
        self.0.iter().map(|(place, write)| {
            let container = match write {
                Write::Acl { item_id, .. } => item_id,
                Write::Link { parent_id, .. } => parent_id,
            };
            (*container, *place)
        })
    }
}

/// Checks a page against the place up to which has been replayed, without changing anything.
///
/// # Errors
/// The first item that is wrong: its place first, then what it carries.
pub fn check_page<'a>(after: Option<&Cursor>, items: &'a [FeedItem]) -> Result<ValidPage<'a>, ReplayError> {
    check_items(after, items.iter().map(PulledItem::of))
}

/// As [`check_page`], of items as they were pulled.
pub(crate) fn check_items<'a>(
    after: Option<&Cursor>,
    items: impl Iterator<Item = PulledItem<'a>>,
) -> Result<ValidPage<'a>, ReplayError> {
    let mut page: Vec<(Place<'a>, Write<'a>)> = Vec::with_capacity(items.size_hint().1.unwrap_or_default());
    for (index, item) in items.enumerate() {
        let place = item.place().ok_or(ReplayError::InvalidCursor { index })?;
        let is_newer = match page.last() {
            Some((last, _)) => place > *last,
            None => after.is_none_or(|after| place > Place::of(after)),
        };
        if !is_newer {
            return Err(ReplayError::NonMonotonicCursor { index });
        }
        page.push((place, write(index, &item)?));
    }
    Ok(ValidPage(page))
}

fn write<'a>(index: usize, item: &PulledItem<'a>) -> Result<Write<'a>, ReplayError> {
    let text = |field: Option<&'a str>| field.map(trimmed).filter(|text| !text.is_empty());
    if item.op_type.is_acl() {
        let (Some(item_id), Some(principal_type), Some(principal_id)) =
            (text(Some(item.item_id)), item.principal_type, text(item.principal_id))
        else {
            return Err(ReplayError::MissingPrincipal { index });
        };
        let level = if item.op_type == OpType::AclAdd {
            Some(item.access_level.ok_or(ReplayError::MissingAccessLevel { index })?)
        } else {
            None
        };
        return Ok(Write::Acl { item_id, principal_type, principal_id, level });
    }
    let (Some(parent_id), Some(child_id)) = (text(item.parent_id), text(item.child_id)) else {
        return Err(ReplayError::MissingLink { index });
    };
    Ok(Write::Link { parent_id, child_id, is_present: item.op_type == OpType::LinkAdd })
}

/// What a client has replayed of the feed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replay {
    acl: BTreeMap<(String, PrincipalType, String), AccessLevel>,
    /// By parent, none of them without children.
    links: BTreeMap<String, BTreeSet<String>>,
    cursor: Option<Cursor>,
}

impl Replay {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes up a snapshot.
    ///
    /// # Errors
    /// An entry that is there twice; access first.
    pub fn from_snapshot(snapshot: &ReplaySnapshot) -> Result<Self, ReplaySnapshotError> {
        let mut replay = Self { cursor: snapshot.cursor.clone(), ..Self::default() };
        for entry in &snapshot.acl {
            let key = (entry.item_id.clone(), entry.principal_type, entry.principal_id.clone());
            if replay.acl.insert(key, entry.access_level).is_some() {
                return Err(ReplaySnapshotError::DuplicatePrincipal);
            }
        }
        for entry in &snapshot.links {
            if !replay.link(&entry.parent_id, &entry.child_id) {
                return Err(ReplaySnapshotError::DuplicateLink);
            }
        }
        Ok(replay)
    }

    /// Up to where; `None`: nothing yet.
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// Checks a page and replays it: all of it or nothing.
    ///
    /// # Errors
    /// As [`check_page`]; then nothing has changed.
    pub fn apply_page(&mut self, items: &[FeedItem]) -> Result<(), ReplayError> {
        let page = check_page(self.cursor(), items)?;
        self.commit(&page);
        Ok(())
    }

    /// Replays a page that has been checked against this replay's cursor.
    pub fn commit(&mut self, page: &ValidPage<'_>) {
        for (_, write) in &page.0 {
            match *write {
                Write::Acl { item_id, principal_type, principal_id, level } => {
                    let key = (item_id.to_owned(), principal_type, principal_id.to_owned());
                    match level {
                        Some(level) => self.acl.insert(key, level),
                        None => self.acl.remove(&key),
                    };
                }
                Write::Link { parent_id, child_id, is_present: true } => {
                    self.link(parent_id, child_id);
                }
                Write::Link { parent_id, child_id, is_present: false } => self.unlink(parent_id, child_id),
            }
        }
        if let Some(tail) = page.tail() {
            self.cursor = Some(tail.cursor());
        }
    }

    /// Puts an item below a parent; whether it was not there.
    fn link(&mut self, parent_id: &str, child_id: &str) -> bool {
        match self.links.get_mut(parent_id) {
            Some(children) => children.insert(child_id.to_owned()),
            None => {
                self.links.insert(parent_id.to_owned(), BTreeSet::from([child_id.to_owned()]));
                true
            }
        }
    }

    fn unlink(&mut self, parent_id: &str, child_id: &str) {
        if let Some(children) = self.links.get_mut(parent_id) {
            children.remove(child_id);
            if children.is_empty() {
                self.links.remove(parent_id);
            }
        }
    }

    /// How much access a principal has to an item; `None`: none.
    #[must_use]
    pub fn access(
        &self,
        item_id: &str,
        principal_type: PrincipalType,
        principal_id: &str,
    ) -> Option<AccessLevel> {
        self.acl.get(&(item_id.to_owned(), principal_type, principal_id.to_owned())).copied()
    }

    /// Whether an item lies below a parent.
    #[must_use]
    pub fn has_link(&self, parent_id: &str, child_id: &str) -> bool {
        self.links.get(parent_id).is_some_and(|children| children.contains(child_id))
    }

    /// What has been replayed.
    #[must_use]
    pub fn snapshot(&self) -> ReplaySnapshot {
        let acl = self.acl.iter().map(|((item_id, principal_type, principal_id), level)| ReplayedAcl {
            item_id: item_id.clone(),
            principal_type: *principal_type,
            principal_id: principal_id.clone(),
            access_level: *level,
        });
        let links = self.links.iter().flat_map(|(parent_id, children)| {
            children
                .iter()
                .map(|child_id| ReplayedLink { parent_id: parent_id.clone(), child_id: child_id.clone() })
        });
        ReplaySnapshot { acl: acl.collect(), links: links.collect(), cursor: self.cursor.clone() }
    }
}
