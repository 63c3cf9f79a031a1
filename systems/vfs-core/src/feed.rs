//! The operation feed as it goes over the wire.

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use crate::cursor::Cursor;
use crate::id::trimmed;
use crate::operation::{AccessLevel, OpType, Operation, PrincipalType};
use crate::timestamp::Timestamp;
use crate::write_ids::WriteIdMap;

/// Items of one page, at most.
pub const PAGE_ITEMS_MAX: usize = 500;

/// Items of one page, where nothing is said.
pub const PAGE_ITEMS_DEFAULT: usize = 100;

/// One operation in the feed. Texts are as they came: what is wrong with them is found by whoever checks the page.
///
/// Reading it from JSON demands every field; those that may be null must be there as null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedItem {
    /// The server's id of the event, not the client's of the operation.
    pub op_id: String,
    /// What it is about.
    pub item_id: String,
    /// What it does.
    pub op_type: OpType,
    /// For access: to whom.
    #[serde(deserialize_with = "present")]
    pub principal_type: Option<PrincipalType>,
    /// For access: to whom.
    #[serde(deserialize_with = "present")]
    pub principal_id: Option<String>,
    /// For `acl_add`: how much.
    #[serde(deserialize_with = "present")]
    pub access_level: Option<AccessLevel>,
    /// For links.
    #[serde(deserialize_with = "present")]
    pub parent_id: Option<String>,
    /// For links: the item.
    #[serde(deserialize_with = "present")]
    pub child_id: Option<String>,
    /// The user who did it, where one did.
    #[serde(deserialize_with = "present")]
    pub actor_id: Option<String>,
    /// The table that it comes from, as the database names it.
    pub source_table: String,
    /// What it comes from in that table.
    pub source_id: String,
    /// Its time in the server's order, RFC 3339.
    pub occurred_at: String,
}

/// A field that may be null but not absent.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(from)
}

impl FeedItem {
    /// Where it stands in the feed; `None`: its id is blank or its time is none.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        Cursor::new(self.time()?, &self.op_id)
    }

    /// Its time; `None`: it is none.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        self.occurred_at.parse().ok()
    }

    /// A client's operation at a place in the feed.
    #[must_use]
    pub fn of(
        operation: &Operation,
        at: &Cursor,
        actor_id: &str,
        source_table: &str,
        source_id: &str,
    ) -> Self {
        let principal = operation.change.principal();
        Self {
            op_id: at.change_id.clone(),
            item_id: operation.item_id.to_string(),
            op_type: operation.op_type(),
            principal_type: principal.map(|principal| principal.kind),
            principal_id: principal.map(|principal| principal.id.to_string()),
            access_level: operation.change.level(),
            parent_id: operation.change.parent_id().map(ToString::to_string),
            child_id: operation.child_id().map(ToString::to_string),
            actor_id: Some(actor_id.to_owned()),
            source_table: source_table.to_owned(),
            source_id: source_id.to_owned(),
            occurred_at: at.changed_at.to_string(),
        }
    }

    /// Whether it is a link whose parent, child and item cannot be together.
    fn has_invalid_link(&self) -> bool {
        let blank = |id: &Option<String>| id.as_deref().is_none_or(|id| trimmed(id).is_empty());
        !self.op_type.is_acl()
            && (blank(&self.parent_id)
                || blank(&self.child_id)
                || self.child_id.as_deref() != Some(self.item_id.as_str())
                || self.parent_id == self.child_id)
    }
}

/// A page as the server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedPage {
    /// In the order of the feed.
    pub items: Vec<FeedItem>,
    /// The encoded cursor of the last item, only where there is more.
    pub next_cursor: Option<String>,
    /// Whether there is more.
    pub has_more: bool,
    /// The last write of each of the caller's replicas, on every page.
    pub last_reconciled_write_ids: WriteIdMap,
}

/// What is wrong with the rows of a page before it is sent. Nothing of such a page is sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RowError {
    /// Its id is blank.
    #[error("row {index} of the feed has no id")]
    MissingOpId {
        /// Which row, from 0.
        index: usize,
    },
    /// Its id was there before.
    #[error("row {index} of the feed repeats id {op_id}")]
    DuplicateOpId {
        /// Which row, from 0.
        index: usize,
        /// The id.
        op_id: String,
    },
    /// Its time is none.
    #[error("row {index} of the feed has no time")]
    InvalidOccurredAt {
        /// Which row, from 0.
        index: usize,
    },
    /// It is not after the row before.
    #[error("row {index} of the feed is out of order")]
    OutOfOrderRow {
        /// Which row, from 0.
        index: usize,
    },
    /// A link without its parent or child, of another child, or to itself.
    #[error("row {index} of the feed is an invalid link")]
    InvalidLinkPayload {
        /// Which row, from 0.
        index: usize,
    },
}

impl RowError {
    /// The code by which it is counted.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::MissingOpId { .. } => "missingOpId",
            Self::DuplicateOpId { .. } => "duplicateOpId",
            Self::InvalidOccurredAt { .. } => "invalidOccurredAt",
            Self::OutOfOrderRow { .. } => "outOfOrderRow",
            Self::InvalidLinkPayload { .. } => "invalidLinkPayload",
        }
    }
}

/// Checks the rows of a page before it is sent: ids, times, order, links, in this order for each row.
///
/// # Errors
/// The first row that is wrong.
pub fn check_rows(items: &[FeedItem]) -> Result<(), RowError> {
    let mut seen = std::collections::BTreeSet::new();
    let mut last: Option<Cursor> = None;
    for (index, item) in items.iter().enumerate() {
        if trimmed(&item.op_id).is_empty() {
            return Err(RowError::MissingOpId { index });
        }
        if !seen.insert(item.op_id.as_str()) {
            return Err(RowError::DuplicateOpId { index, op_id: item.op_id.clone() });
        }
        let Some(cursor) = item.cursor() else { return Err(RowError::InvalidOccurredAt { index }) };
        if last.is_some_and(|last| last >= cursor) {
            return Err(RowError::OutOfOrderRow { index });
        }
        if item.has_invalid_link() {
            return Err(RowError::InvalidLinkPayload { index });
        }
        last = Some(cursor);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn link(id: &str, second: u8) -> FeedItem {
        FeedItem {
            op_id: id.to_owned(),
            item_id: "file".to_owned(),
            op_type: OpType::LinkAdd,
            principal_type: None,
            principal_id: None,
            access_level: None,
            parent_id: Some("folder".to_owned()),
            child_id: Some("file".to_owned()),
            actor_id: None,
            source_table: "vfs_links".to_owned(),
            source_id: "link".to_owned(),
            occurred_at: format!("2026-02-14T20:00:{second:02}.000Z"),
        }
    }

    fn code(items: &[FeedItem]) -> Option<&'static str> {
        check_rows(items).err().map(|error| error.code())
    }

    #[test]
    fn rows_are_checked_before_they_are_sent() {
        assert_eq!(code(&[link("a", 1), link("b", 1), link("a2", 2)]), None);
        assert_eq!(code(&[link(" ", 1)]), Some("missingOpId"));
        assert_eq!(code(&[link("a", 1), link("a", 2)]), Some("duplicateOpId"));
        assert_eq!(
            code(&[FeedItem { occurred_at: "x".to_owned(), ..link("a", 1) }]),
            Some("invalidOccurredAt")
        );
        assert_eq!(code(&[link("b", 1), link("a", 1)]), Some("outOfOrderRow"));
        let invalid = Some("invalidLinkPayload");
        assert_eq!(code(&[FeedItem { parent_id: None, ..link("a", 1) }]), invalid);
        assert_eq!(code(&[FeedItem { child_id: Some(" ".to_owned()), ..link("a", 1) }]), invalid);
        assert_eq!(code(&[FeedItem { child_id: Some("x".to_owned()), ..link("a", 1) }]), invalid);
        assert_eq!(code(&[FeedItem { parent_id: Some("file".to_owned()), ..link("a", 1) }]), invalid);
    }

    #[test]
    fn a_field_that_may_be_null_may_not_be_absent() {
        let mut value = serde_json::to_value(link("a", 1)).unwrap();
        assert_eq!(value["actorId"], json!(null));
        assert!(serde_json::from_value::<FeedItem>(value.clone()).is_ok());
        value.as_object_mut().unwrap().remove("actorId");
        assert!(serde_json::from_value::<FeedItem>(value).is_err());
    }
}
