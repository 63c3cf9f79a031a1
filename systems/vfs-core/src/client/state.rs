//! What a client knows. Each change here is one whole valid attempt: nothing in between is ever seen.

use std::collections::BTreeSet;

use super::error::ClientError;
use super::export::{ClientSnapshot, ExportedState};
use super::queue::{QueuedOperation, RejectedOperation};
use crate::container_clock::ContainerClocks;
use crate::cursor::Cursor;
use crate::id::{ClientId, OpId, WriteId};
use crate::page::{CheckedPage, PageError};
use crate::reconcile::ReconcileState;
use crate::replay::Replay;
use crate::write_ids::{ENTRIES_MAX, WriteIdMap, WriteIdMapError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) replay: Replay,
    pub(super) reconcile: Option<ReconcileState>,
    pub(super) clocks: ContainerClocks,
    pub(super) pending: Vec<QueuedOperation>,
    pub(super) rejected: Vec<RejectedOperation>,
    /// The ids of what waits and of what was rejected.
    pub(super) op_ids: BTreeSet<OpId>,
    pub(super) next_write_id: WriteId,
    pub(super) feed_epoch: Option<u16>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            replay: Replay::new(),
            reconcile: None,
            clocks: ContainerClocks::new(),
            pending: Vec::new(),
            rejected: Vec::new(),
            op_ids: BTreeSet::new(),
            next_write_id: WriteId::MIN,
            feed_epoch: None,
        }
    }

    /// Whether nothing has been queued, read or taken up yet.
    pub(super) fn is_pristine(&self) -> bool {
        *self == Self { feed_epoch: self.feed_epoch, ..Self::new() }
    }

    /// Up to where it has read: the later of what has been replayed and what has been reconciled.
    pub(super) fn cursor(&self) -> Option<&Cursor> {
        self.reconcile.as_ref().map(|state| &state.cursor).max(self.replay.cursor())
    }

    pub(super) fn write_ids(&self) -> WriteIdMap {
        self.reconcile.as_ref().map(|state| state.last_reconciled_write_ids.clone()).unwrap_or_default()
    }

    /// Takes in a checked page whole. `next` is what [`State::next_after`] said of it.
    pub(super) fn apply(&mut self, page: &CheckedPage<'_>, next: WriteId) {
        self.replay.commit(&page.replay);
        self.clocks.apply_page(&page.replay);
        if let Some(cursor) = &page.cursor {
            let read =
                ReconcileState { cursor: cursor.clone(), last_reconciled_write_ids: page.write_ids.clone() };
            self.reconcile = Some(match self.reconcile.take() {
                Some(known) => known.merged(&read),
                None => read,
            });
        }
        // Also where nothing can be read yet: else writes that the server knows of would be stale for ever.
        self.next_write_id = next;
    }

    /// Takes in the writes that the server acknowledged. Its cursor does not count: it may be that of another client
    /// with the same id, and what lies between has not been seen here.
    pub(super) fn acknowledge(&mut self, write_ids: &WriteIdMap, next: WriteId) {
        if let Some(state) = &mut self.reconcile {
            state.last_reconciled_write_ids.merge(write_ids);
            self.next_write_id = next;
        }
    }

    /// The number of the next local write, where `write_ids` are known too: later than all that are known of this
    /// client. `None`: there is none.
    pub(super) fn next_after(&self, client_id: &ClientId, write_ids: &WriteIdMap) -> Option<WriteId> {
        let after = match write_ids.get(client_id) {
            Some(known) => known.next()?,
            None => WriteId::MIN,
        };
        Some(self.next_write_id.max(after))
    }

    /// Takes note of the ids of what waits and of what was rejected, where these came as wholes.
    pub(super) fn index(&mut self) {
        let queued = self.pending.iter().chain(self.rejected.iter().map(|kept| &kept.operation));
        self.op_ids = queued.map(|queued| queued.operation.op_id.clone()).collect();
    }

    /// Checks that what is known after a page or an acknowledgement can be taken up again from its export.
    pub(super) fn check_export(
        &self,
        cursor: Option<&Cursor>,
        write_ids: &WriteIdMap,
    ) -> Result<(), ClientError> {
        if let Some(cursor) = cursor.filter(|cursor| self.op_ids.contains(cursor.change_id.as_str())) {
            return Err(ClientError::WaitingOpId { op_id: cursor.change_id.clone() });
        }
        let mut known = self.write_ids();
        known.merge(write_ids);
        if known.len() > ENTRIES_MAX {
            Err(PageError::WriteIds(WriteIdMapError::TooMany).into())
        } else {
            Ok(())
        }
    }

    pub(super) fn export(&self) -> ExportedState {
        ExportedState {
            replay_snapshot: self.replay.snapshot(),
            reconcile_state: self.reconcile.clone(),
            container_clocks: self.clocks.snapshot(),
            pending_operations: self.pending.clone(),
            next_local_write_id: self.next_write_id,
            rejected_operations: self.rejected.clone(),
            feed_epoch: self.feed_epoch,
        }
    }

    pub(super) fn snapshot(&self) -> ClientSnapshot {
        let replayed = self.replay.snapshot();
        ClientSnapshot {
            acl: replayed.acl,
            links: replayed.links,
            cursor: self.cursor().cloned(),
            last_reconciled_write_ids: self.write_ids(),
            container_clocks: self.clocks.snapshot(),
            pending_operations: self.pending.len(),
            rejected_operations: self.rejected.len(),
            next_local_write_id: self.next_write_id,
        }
    }
}
