//! Compaction: up to where the feed of operations may be forgotten, and who must begin anew then.

use std::time::Duration;

use serde::Serialize;

use crate::cursor::Cursor;
use crate::position::Position;
use crate::timestamp::Timestamp;

/// What is kept in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactionOptions {
    /// Younger operations are kept.
    pub hot_retention: Duration,
    /// A client that has not reconciled for longer is not waited for.
    pub inactive_client_window: Duration,
    /// So much before the oldest cursor of an active client is kept.
    pub cursor_safety_buffer: Duration,
    /// Ids of stale clients that a plan names, at most.
    pub stale_client_ids_max: usize,
}

impl Default for CompactionOptions {
    /// 30 days, 90 days, 6 hours, 50 ids.
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(3_600);
        Self {
            hot_retention: HOUR * 24 * 30,
            inactive_client_window: HOUR * 24 * 90,
            cursor_safety_buffer: HOUR * 6,
            stale_client_ids_max: 50,
        }
    }
}

/// A client's row, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRow<'a> {
    /// The stored key; those of the operation feed begin with `crdt:`, and no other is looked at.
    pub client_key: &'a str,
    /// When it last reconciled.
    pub updated_at: Timestamp,
    /// The time of its cursor; `None`: it is none.
    pub changed_at: Option<Timestamp>,
    /// The change of its cursor.
    pub change_id: &'a str,
}

/// Why a plan may not be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum BlockedReason {
    /// The row of an active client is malformed: what it needs is unknown.
    MalformedClientState,
}

/// What is to be forgotten, and why not more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CompactionPlan {
    /// The time of the plan.
    pub now: Timestamp,
    /// The last operation; null: there is none.
    pub latest_cursor: Option<Cursor>,
    /// Younger operations are kept.
    pub hot_retention_floor: Option<Timestamp>,
    /// Clients that are waited for.
    pub active_client_count: usize,
    /// Clients that are not.
    pub stale_client_count: usize,
    /// The earliest cursor of those that are waited for.
    pub oldest_active_cursor: Option<Cursor>,
    /// Operations before this may be forgotten; null: none may.
    pub cutoff_occurred_at: Option<Timestamp>,
    /// How many these are; whoever can count them puts it here.
    pub estimated_rows_to_delete: u64,
    /// Some of the clients that are not waited for, by the bytes of their ids.
    pub stale_client_ids: Vec<String>,
    /// How many more there are.
    pub stale_client_ids_truncated_count: usize,
    /// Rows that are malformed.
    pub malformed_client_state_count: usize,
    /// Why nothing may be forgotten; null: nothing stands against it.
    pub blocked_reason: Option<BlockedReason>,
    /// In words, where nothing is to be done.
    pub note: Option<&'static str>,
}

const NOTHING: &str = "No CRDT operations found; compaction is not needed.";
const BLOCKED: &str = "A client's stored state is malformed; nothing is deleted until it is corrected.";
const ALL: &str = "The cutoff is not before the latest operation; nothing is deleted.";

/// What the key of a client of the operation feed begins with.
const PREFIX: &str = "crdt:";

/// Plans a compaction.
///
/// The cutoff is the earlier of two: `hot_retention` before the earlier of the last operation and now, and
/// `cursor_safety_buffer` before the earlier of the oldest active cursor and now. A cursor in the future does not move
/// it. A malformed row of any client that is not stale blocks the plan.
#[must_use]
pub fn plan(
    now: Timestamp,
    latest: Option<&Cursor>,
    clients: &[ClientRow<'_>],
    options: &CompactionOptions,
) -> CompactionPlan {
    let mut plan = CompactionPlan {
        now,
        latest_cursor: latest.cloned(),
        hot_retention_floor: None,
        active_client_count: 0,
        stale_client_count: 0,
        oldest_active_cursor: None,
        cutoff_occurred_at: None,
        estimated_rows_to_delete: 0,
        stale_client_ids: Vec::new(),
        stale_client_ids_truncated_count: 0,
        malformed_client_state_count: 0,
        blocked_reason: None,
        note: None,
    };
    let Some(latest) = latest else {
        plan.note = Some(NOTHING);
        return plan;
    };
    let floor = before(latest.changed_at.min(now), options.hot_retention);
    plan.hot_retention_floor = Some(floor);
    count_clients(&mut plan, clients, options);
    if plan.malformed_client_state_count > 0 {
        plan.blocked_reason = Some(BlockedReason::MalformedClientState);
        plan.note = Some(BLOCKED);
        return plan;
    }
    let needed = plan
        .oldest_active_cursor
        .as_ref()
        .map(|oldest| before(oldest.changed_at.min(now), options.cursor_safety_buffer));
    let cutoff = needed.map_or(floor, |needed| needed.min(floor));
    if cutoff >= latest.changed_at {
        plan.note = Some(ALL);
        return plan;
    }
    plan.cutoff_occurred_at = Some(cutoff);
    plan
}

fn count_clients(plan: &mut CompactionPlan, clients: &[ClientRow<'_>], options: &CompactionOptions) {
    let stale_before = before(plan.now, options.inactive_client_window);
    for client in clients.iter().filter(|client| client.client_key.starts_with(PREFIX)) {
        if client.updated_at < stale_before {
            plan.stale_client_ids.push(client.client_key.to_owned());
            continue;
        }
        let cursor = client.changed_at.and_then(|changed_at| Cursor::new(changed_at, client.change_id));
        let Some(cursor) = cursor else {
            plan.malformed_client_state_count += 1;
            continue;
        };
        plan.active_client_count += 1;
        let is_older = plan.oldest_active_cursor.as_ref().is_none_or(|oldest| cursor < *oldest);
        if is_older {
            plan.oldest_active_cursor = Some(cursor);
        }
    }
    plan.stale_client_count = plan.stale_client_ids.len();
    plan.stale_client_ids.sort_unstable();
    plan.stale_client_ids.truncate(options.stale_client_ids_max);
    plan.stale_client_ids_truncated_count = plan.stale_client_count - plan.stale_client_ids.len();
}

fn before(at: Timestamp, span: Duration) -> Timestamp {
    at.plus_millisecond(-i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}

/// Up to where the feed of operations has been forgotten, kept explicitly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// Operations with this sequence number or a smaller one may be gone; 0: none is.
    pub seq: u64,
    /// The time of that operation, or a later one, such as when the horizon moved there.
    pub at: Timestamp,
}

impl Horizon {
    /// Whether somebody who has read up to `cursor` may have missed what is gone, and must begin anew.
    ///
    /// Whoever has read nothing has. A cursor at the horizon has not. A cursor that is no place of the server's order
    /// is judged by its time, and for the worse.
    #[must_use]
    pub fn is_ahead_of(&self, cursor: Option<&Cursor>) -> bool {
        if self.seq == 0 {
            return false;
        }
        match cursor {
            None => true,
            Some(cursor) => match Position::parse(&cursor.change_id) {
                Some(position) => position.seq < self.seq,
                None => cursor.changed_at <= self.at,
            },
        }
    }

    /// Where it lies after the operations before `cutoff` are forgotten, oldest first and `rows_max` at most.
    ///
    /// `operations`: time and sequence number of those that are left, in the order of the feed. It never goes back.
    #[must_use]
    pub fn after(
        self,
        cutoff: Timestamp,
        operations: impl IntoIterator<Item = (Timestamp, u64)>,
        rows_max: usize,
    ) -> Self {
        let gone = operations.into_iter().take_while(|(at, _)| *at < cutoff).take(rows_max).last();
        match gone {
            Some((at, seq)) if seq > self.seq => Self { seq, at },
            _ => self,
        }
    }
}
