//! What changed between two exports of one client, and whether it can have changed so.
//!
//! Legal between two exports, also around a failed attempt, are whole valid pages that came before it, what was queued,
//! settled, rejected, undone or tried again, and renumbering. Anything else is a fault of the client: it is closed when
//! it fails.

use std::collections::BTreeMap;

use serde::Serialize;

use super::export::ExportedState;
use super::queue::QueuedOperation;
use crate::cursor::Cursor;
use crate::id::{OpId, ReplicaId, WriteId};

/// Something that may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "progress", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Progress {
    /// Whole pages were read: everything up to there.
    PagesRead {
        /// The cursor before; null: nothing had been read.
        from: Option<Cursor>,
        /// The cursor after.
        to: Cursor,
    },
    /// A later write of a replica is known.
    WriteLearned {
        /// Whose.
        replica_id: ReplicaId,
        /// Up to which.
        write_id: WriteId,
    },
    /// An operation was queued.
    Queued {
        /// Which.
        op_id: OpId,
    },
    /// An operation left the queue: the server has it.
    Settled {
        /// Which.
        op_id: OpId,
    },
    /// An operation left the queue: the server will not take it.
    Rejected {
        /// Which.
        op_id: OpId,
    },
    /// A rejected operation was forgotten.
    Undone {
        /// Which.
        op_id: OpId,
    },
    /// A rejected operation is in the queue again.
    Retried {
        /// Which.
        op_id: OpId,
    },
    /// A waiting operation has a later number, or a later time.
    Rebased {
        /// Which.
        op_id: OpId,
        /// Its number before.
        from: WriteId,
        /// Its number after.
        to: WriteId,
    },
    /// The next number is a later one.
    NumberMoved {
        /// The number before.
        from: WriteId,
        /// The number after.
        to: WriteId,
    },
    /// The epoch of the feed is another.
    EpochMoved {
        /// The epoch before.
        from: Option<u16>,
        /// The epoch after.
        to: u16,
    },
}

/// What changed between two exports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateDiff {
    /// What may change so.
    pub progress: Vec<Progress>,
    /// What may not, each as a sentence. A state taken anew by order has such, too: then it was the order.
    pub breaches: Vec<String>,
}

impl StateDiff {
    /// Whether nothing changed at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.progress.is_empty() && self.breaches.is_empty()
    }

    /// Whether everything that changed may have.
    #[must_use]
    pub fn is_legal(&self) -> bool {
        self.breaches.is_empty()
    }

    fn breach(&mut self, what: impl Into<String>) {
        self.breaches.push(what.into());
    }
}

fn cursor(state: &ExportedState) -> Option<&Cursor> {
    state.reconcile_state.as_ref().map(|state| &state.cursor).max(state.replay_snapshot.cursor.as_ref())
}

/// Compares two exports of one client, the earlier first.
#[must_use]
pub fn diff(before: &ExportedState, after: &ExportedState) -> StateDiff {
    let mut diff = StateDiff::default();
    reading(before, after, &mut diff);
    write_ids(before, after, &mut diff);
    clocks(before, after, &mut diff);
    queue(before, after, &mut diff);
    let (from, to) = (before.next_local_write_id, after.next_local_write_id);
    if to > from {
        diff.progress.push(Progress::NumberMoved { from, to });
    } else if to < from {
        diff.breach(format!("nextLocalWriteId went back from {from} to {to}"));
    }
    match (before.feed_epoch, after.feed_epoch) {
        (from, to) if from == to => {}
        (from, Some(to)) if from.is_none_or(|from| from < to) => {
            diff.progress.push(Progress::EpochMoved { from, to });
        }
        _ => diff.breach("feedEpoch went back"),
    }
    diff
}

fn reading(before: &ExportedState, after: &ExportedState, diff: &mut StateDiff) {
    let replayed = (&before.replay_snapshot, &after.replay_snapshot);
    if replayed.1.cursor < replayed.0.cursor {
        diff.breach("the replay cursor went back");
    }
    let is_same_place = replayed.0.cursor == replayed.1.cursor;
    if is_same_place && (replayed.0.acl != replayed.1.acl || replayed.0.links != replayed.1.links) {
        diff.breach("replayed access or links changed though no page was read");
    }
    match (cursor(before), cursor(after)) {
        (from, to) if from == to => {}
        (from, Some(to)) if from.is_none_or(|from| from < to) => {
            diff.progress.push(Progress::PagesRead { from: from.cloned(), to: to.clone() });
        }
        _ => diff.breach("the cursor went back"),
    }
    let reconciled = |state: &ExportedState| state.reconcile_state.as_ref().map(|state| state.cursor.clone());
    if reconciled(after) < reconciled(before) {
        diff.breach("the reconciled cursor went back");
    }
    if !is_same_place && reconciled(after) < after.replay_snapshot.cursor {
        diff.breach("a page was replayed in part: the replay cursor is past the reconciled one");
    }
}

fn write_ids(before: &ExportedState, after: &ExportedState, diff: &mut StateDiff) {
    let known = |state: &ExportedState| {
        state
            .reconcile_state
            .as_ref()
            .map(|state| state.last_reconciled_write_ids.clone())
            .unwrap_or_default()
    };
    let (before, after) = (known(before), known(after));
    for (replica_id, was) in before.iter() {
        if after.get(replica_id).is_none_or(|is| is < was) {
            diff.breach(format!("lastReconciledWriteIds of replica {replica_id} went back from {was}"));
        }
    }
    for (replica_id, write_id) in after.iter() {
        if before.get(replica_id).is_none_or(|was| was < write_id) {
            diff.progress.push(Progress::WriteLearned { replica_id: replica_id.clone(), write_id });
        }
    }
}

fn clocks(before: &ExportedState, after: &ExportedState, diff: &mut StateDiff) {
    let was: BTreeMap<&str, &Cursor> =
        before.container_clocks.iter().map(|clock| (clock.container_id.as_str(), &clock.changed)).collect();
    let is: BTreeMap<&str, &Cursor> =
        after.container_clocks.iter().map(|clock| (clock.container_id.as_str(), &clock.changed)).collect();
    for (container_id, changed) in &was {
        if is.get(container_id).is_none_or(|is| is < changed) {
            diff.breach(format!("the clock of container {container_id} went back"));
        }
    }
    let (from, to) = (cursor(before), cursor(after));
    for (container_id, changed) in &is {
        let moved = was.get(container_id) != Some(changed);
        let in_pages = from.is_none_or(|from| *changed > from) && to.is_some_and(|to| *changed <= to);
        if moved && !in_pages {
            diff.breach(format!("the clock of container {container_id} moved to where no page was read"));
        }
    }
}

fn queue(before: &ExportedState, after: &ExportedState, diff: &mut StateDiff) {
    let place = |queue: &[QueuedOperation]| -> BTreeMap<OpId, usize> {
        queue.iter().enumerate().map(|(at, queued)| (queued.operation.op_id.clone(), at)).collect()
    };
    let rejected = |state: &ExportedState| -> BTreeMap<OpId, QueuedOperation> {
        let kept = state.rejected_operations.iter().map(|kept| &kept.operation);
        kept.map(|queued| (queued.operation.op_id.clone(), queued.clone())).collect()
    };
    let (was, is) = (place(&before.pending_operations), place(&after.pending_operations));
    let (had, has) = (rejected(before), rejected(after));
    let mut last = None;
    for queued in &before.pending_operations {
        let op_id = queued.operation.op_id.clone();
        match (is.get(&op_id), has.get(&op_id)) {
            (Some(at), _) => {
                if last.is_some_and(|last| last > *at) {
                    diff.breach(format!("opId {op_id} changed its place in the queue"));
                }
                last = Some(*at);
                if let Some(now) = after.pending_operations.get(*at) {
                    waiting(queued, now, diff);
                }
            }
            (None, Some(_)) => diff.progress.push(Progress::Rejected { op_id }),
            (None, None) => diff.progress.push(Progress::Settled { op_id }),
        }
    }
    for (op_id, at) in &is {
        if was.contains_key(op_id) {
            continue;
        }
        if last.is_some_and(|last| last > *at) {
            diff.breach(format!("opId {op_id} was put before what waited already"));
        }
        let op_id = op_id.clone();
        diff.progress.push(if had.contains_key(&op_id) {
            Progress::Retried { op_id }
        } else {
            Progress::Queued { op_id }
        });
    }
    for op_id in had.keys().filter(|op_id| !has.contains_key(*op_id) && !is.contains_key(*op_id)) {
        diff.progress.push(Progress::Undone { op_id: op_id.clone() });
    }
    for op_id in has.keys().filter(|op_id| !had.contains_key(*op_id) && !was.contains_key(*op_id)) {
        diff.breach(format!("opId {op_id} was rejected without having waited"));
    }
}

fn waiting(was: &QueuedOperation, is: &QueuedOperation, diff: &mut StateDiff) {
    let op_id = was.operation.op_id.clone();
    let mut same = is.clone();
    same.operation.write_id = was.operation.write_id;
    same.operation.occurred_at = was.operation.occurred_at;
    if same != *was {
        diff.breach(format!("opId {op_id} changed while it waited"));
    }
    let (from, to) = (was.operation.write_id, is.operation.write_id);
    if to < from || is.operation.occurred_at < was.operation.occurred_at {
        diff.breach(format!("opId {op_id} has an earlier number or time than before"));
    } else if is != was {
        diff.progress.push(Progress::Rebased { op_id, from, to });
    }
}
