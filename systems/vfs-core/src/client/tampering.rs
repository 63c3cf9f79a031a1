//! What planted faults make of a page before it is checked. Compiled only with the feature `testing`.

use super::Client;
use super::mutation::Mutation;
use crate::cursor::Cursor;
use crate::page::{PullCycle, PulledPage};
use crate::replay::check_page;
use crate::write_ids::WriteIdMap;

impl Client {
    /// The cursor and the page that are checked; without a planted fault they are what came.
    pub(super) fn tampered(
        &mut self,
        cycle: &mut PullCycle,
        before: Option<Cursor>,
        mut page: PulledPage,
    ) -> (Option<Cursor>, PulledPage) {
        match self.mutation {
            Some(Mutation::EmptyPageBelieved) => page.has_more &= !page.items.is_empty(),
            Some(Mutation::NextCursorBelieved) if !page.items.is_empty() => page.next_cursor = None,
            Some(Mutation::DuplicatesBelieved) => {
                let mut items = page.items.to_vec();
                items.dedup_by(|later, earlier| later.op_id == earlier.op_id);
                page.items = items.into();
                *cycle = PullCycle::new(self.state.write_ids());
            }
            Some(Mutation::CursorRegressionBelieved) => return (None, page),
            Some(Mutation::PulledWriteIdsBelieved) => {
                if let Ok(mut write_ids) = WriteIdMap::parse(&page.last_reconciled_write_ids) {
                    write_ids.merge(&self.state.write_ids());
                    page.last_reconciled_write_ids = serde_json::to_value(write_ids).unwrap_or_default();
                }
            }
            Some(Mutation::PageAppliedBeforeValidation) => {
                let items = page.items.to_vec();
                for count in (1..=items.len()).rev() {
                    let first = items.get(..count).unwrap_or_default();
                    if let Ok(valid) = check_page(before.as_ref(), first) {
                        self.state.replay.commit(&valid);
                        break;
                    }
                }
            }
            Some(Mutation::LastCursorForgotten) if !page.has_more && page.items.len() > 1 => {
                let mut items = page.items.to_vec();
                items.pop();
                page.items = items.into();
                page.next_cursor = None;
            }
            _ => {}
        }
        (before, page)
    }
}
