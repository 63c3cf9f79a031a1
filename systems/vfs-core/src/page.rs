//! The rules of a pulled page, all of them checked before anything changes.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use serde_json::Value;
use thiserror::Error;

use crate::cursor::Cursor;
use crate::guardrail::Violation;
use crate::id::trimmed;
use crate::position::Position;
use crate::pulled_items::{Place, PulledItems};
use crate::reconcile::ReconcileState;
use crate::replay::{ReplayError, ValidPage, check_items};
use crate::write_ids::{WriteIdMap, WriteIdMapError};

/// A page as it came, parsed so far that its fields have their types.
#[derive(Debug, Clone, PartialEq)]
pub struct PulledPage {
    /// In the order of the feed, if it is honest.
    pub items: PulledItems,
    /// Where the page ends, as it says; servers may say so only where there is more.
    pub next_cursor: Option<Cursor>,
    /// Whether there is more.
    pub has_more: bool,
    /// The last known writes, not looked at yet.
    pub last_reconciled_write_ids: Value,
}

/// Why a page is refused. It reads as what is thrown.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PageError {
    /// The map of writes is none. No guardrail is told of it.
    #[error(transparent)]
    WriteIds(#[from] WriteIdMapError),
    /// A guardrail.
    #[error(transparent)]
    Guardrail(#[from] Violation),
    /// An item without an id. No guardrail is told of it.
    #[error("transport returned item with missing opId")]
    MissingOpId,
    /// An item without a time. No guardrail is told of it.
    #[error("transport returned item with invalid occurredAt")]
    InvalidOccurredAt,
    /// It cannot be replayed. No guardrail is told of it.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

impl PageError {
    /// The guardrail that an observer is to be told of.
    #[must_use]
    pub const fn violation(&self) -> Option<&Violation> {
        match self {
            Self::Guardrail(violation) => Some(violation),
            _ => None,
        }
    }
}

/// A page that may be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedPage<'a> {
    /// What is to be replayed.
    pub replay: ValidPage<'a>,
    /// Where the client stands afterwards; `None`: at the beginning still.
    pub cursor: Option<Cursor>,
    /// The last known writes, as the page says.
    pub write_ids: WriteIdMap,
    /// Whether there is more.
    pub has_more: bool,
    seen: Seen<&'a str>,
}

/// The ids of operations that were seen. Those of positions, which come in their order, take 16 bytes each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen<T> {
    /// In their order.
    positions: Vec<Position>,
    /// What is no position, or came out of order.
    others: BTreeSet<T>,
}

impl<T: Ord + Borrow<str>> Seen<T> {
    fn has(&self, op_id: &str, position: Option<Position>) -> bool {
        let is_among = |position: Position| match self.positions.last() {
            Some(last) if position <= *last => self.positions.binary_search(&position).is_ok(),
            _ => false,
        };
        position.is_some_and(is_among) || (!self.others.is_empty() && self.others.contains(op_id))
    }

    /// Takes note of an id that is not there yet.
    fn add(&mut self, position: Option<Position>, op_id: impl FnOnce() -> T) {
        match position {
            Some(position) if self.positions.last().is_none_or(|last| position > *last) => {
                self.positions.push(position);
            }
            _ => {
                self.others.insert(op_id());
            }
        }
    }
}

impl CheckedPage<'_> {
    /// A position that the page tells after one that is not before it: the first of the page after the client's cursor,
    /// or one after another in the page. In one history, positions rise as times do.
    pub(crate) fn set_back(&self, before: Option<&Cursor>) -> Option<SetBack> {
        let read = before.and_then(|cursor| Position::parse(&cursor.change_id));
        if let (Some(read), Some(told)) = (read, self.seen.positions.first())
            && *told <= read
        {
            return Some(SetBack { read, told: *told });
        }
        // Positions that came out of order are among the others.
        let told = self.seen.others.iter().find_map(|op_id| Position::parse(op_id))?;
        self.seen.positions.last().map(|read| SetBack { read: *read, told })
    }
}

/// Two positions of which the later told is the earlier in the server's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SetBack {
    pub(crate) read: Position,
    pub(crate) told: Position,
}

/// One cycle of pulling until there is no more: what was seen in its pages so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullCycle {
    seen: Seen<String>,
    write_ids: WriteIdMap,
}

impl PullCycle {
    /// Begins one with the writes that the client knows of.
    #[must_use]
    pub fn new(known: WriteIdMap) -> Self {
        Self { seen: Seen::default(), write_ids: known }
    }

    /// Checks a page that was asked for with `before`, and against what has been `replayed`. Changes nothing.
    ///
    /// In this order: the map of writes is one; no replica's write falls; no empty page with more; each item has an
    /// id, and none that came before in the cycle; the last item has a time, and is where the page says it ends; the
    /// page does not lead back; and it can be replayed.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn check<'a>(
        &self,
        before: Option<&Cursor>,
        replayed: Option<&Cursor>,
        page: &'a PulledPage,
    ) -> Result<CheckedPage<'a>, PageError> {
        let write_ids = WriteIdMap::parse(&page.last_reconciled_write_ids)?;
        if let Some(fallen) = self.write_ids.regression(&write_ids) {
            return Err(Violation::PullWriteIdRegression(fallen).into());
        }
        if page.has_more && page.items.is_empty() {
            return Err(Violation::EmptyPageWithMore.into());
        }
        let seen = self.fresh(&page.items)?;
        let cursor = page_cursor(before, page)?;
        if let (Some(previous), Some(incoming)) = (before, &cursor)
            && incoming < previous
        {
            let (previous, incoming) = (previous.clone(), incoming.clone());
            return Err(Violation::PullCursorRegression { previous, incoming }.into());
        }
        let replay = check_items(replayed, page.items.iter())?;
        Ok(CheckedPage { replay, cursor, write_ids, has_more: page.has_more, seen })
    }

    /// Takes note of a page that has been applied.
    pub fn accept(&mut self, page: &CheckedPage<'_>) {
        for position in &page.seen.positions {
            self.seen.add(Some(*position), || position.id());
        }
        for op_id in &page.seen.others {
            self.seen.add(Position::parse(op_id), || (*op_id).to_owned());
        }
        self.write_ids.merge(&page.write_ids);
    }

    /// The ids of items, none of which was seen before.
    fn fresh<'a>(&self, items: &'a PulledItems) -> Result<Seen<&'a str>, PageError> {
        let mut fresh = Seen { positions: Vec::with_capacity(items.len()), others: BTreeSet::new() };
        for item in items.iter() {
            let op_id = trimmed(item.op_id);
            if op_id.is_empty() {
                return Err(PageError::MissingOpId);
            }
            let position = Position::parse(op_id);
            if self.seen.has(op_id, position) || fresh.has(op_id, position) {
                return Err(Violation::DuplicateOpReplay { op_id: op_id.to_owned() }.into());
            }
            fresh.add(position, || op_id);
        }
        Ok(fresh)
    }
}

fn page_cursor(before: Option<&Cursor>, page: &PulledPage) -> Result<Option<Cursor>, PageError> {
    let Some(last) = page.items.last() else {
        return Ok(page.next_cursor.clone().or_else(|| before.cloned()));
    };
    let tail = last.place().map(Place::cursor).ok_or(PageError::InvalidOccurredAt)?;
    match &page.next_cursor {
        Some(next) if *next != tail => Err(Violation::NextCursorMismatch { next: next.clone(), tail }.into()),
        _ => Ok(Some(tail)),
    }
}

/// Why an acknowledgement is refused. It reads as what is thrown.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AcknowledgementError {
    /// Its cursor is none. No guardrail is told of it.
    #[error("transport returned invalid reconcile cursor")]
    Cursor,
    /// Its map of writes is none. No guardrail is told of it.
    #[error(transparent)]
    WriteIds(#[from] WriteIdMapError),
    /// A guardrail.
    #[error(transparent)]
    Guardrail(#[from] Violation),
}

impl AcknowledgementError {
    /// The guardrail that an observer is to be told of.
    #[must_use]
    pub const fn violation(&self) -> Option<&Violation> {
        match self {
            Self::Guardrail(violation) => Some(violation),
            _ => None,
        }
    }
}

/// Checks what the server acknowledged against what the client told it. Changes nothing.
///
/// In this order: the cursor is one; the map of writes is one; the cursor does not lead back; no replica's write falls.
///
/// # Errors
/// The first rule that does not hold.
pub fn check_acknowledgement(
    local: &ReconcileState,
    cursor: Option<&Cursor>,
    write_ids: &Value,
) -> Result<ReconcileState, AcknowledgementError> {
    let incoming = cursor.ok_or(AcknowledgementError::Cursor)?;
    let write_ids = WriteIdMap::parse(write_ids)?;
    if *incoming < local.cursor {
        let (previous, incoming) = (local.cursor.clone(), incoming.clone());
        return Err(Violation::ReconcileCursorRegression { previous, incoming }.into());
    }
    if let Some(fallen) = local.last_reconciled_write_ids.regression(&write_ids) {
        return Err(Violation::ReconcileWriteIdRegression(fallen).into());
    }
    Ok(ReconcileState { cursor: incoming.clone(), last_reconciled_write_ids: write_ids })
}
