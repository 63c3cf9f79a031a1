//! Pulling: what a user sees of the operation feed.

use super::{ACL_AGAIN, LoggedOperation, Model, ModelError, PUSH_TABLE};
use crate::cursor::Cursor;
use crate::feed::{FeedPage, PAGE_ITEMS_MAX};
use crate::id::{ItemId, PrincipalId, UserId};
use crate::operation::{OpType, Principal};
use crate::timestamp::Timestamp;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pull<'a> {
    /// Up to where the caller has read; `None`: nothing.
    pub after: Option<&'a Cursor>,
    /// Items, 1 to 500.
    pub limit: usize,
    /// Only this item and what is directly below it in the table of links; `None`: everything.
    pub root_id: Option<&'a ItemId>,
}

impl Model {
    /// A page of what a user sees now.
    ///
    /// An operation is seen if its item is visible now, or if it takes access away from one of the user's principals and
    /// no client pushed it.
    ///
    /// # Errors
    /// [`ModelError::Limit`]; [`ModelError::Rematerialize`] where what comes after the cursor may be gone.
    pub fn pull(&self, now: Timestamp, user: &UserId, pull: &Pull<'_>) -> Result<FeedPage, ModelError> {
        if !(1..=PAGE_ITEMS_MAX).contains(&pull.limit) {
            return Err(ModelError::Limit);
        }
        if self.horizon.is_ahead_of(pull.after) {
            return Err(ModelError::Rematerialize);
        }
        let rest = self
            .operations
            .iter()
            .filter(|logged| pull.after.is_none_or(|after| logged.at > *after))
            .filter(|logged| self.is_below(logged, pull.root_id))
            .filter(|logged| self.is_seen(now, user, logged));
        let mut rows: Vec<&LoggedOperation> = rest.take(pull.limit + 1).collect();
        let has_more = rows.len() > pull.limit;
        rows.truncate(pull.limit);
        let next_cursor = rows.last().filter(|_| has_more).map(|last| last.at.encode());
        Ok(FeedPage {
            items: rows.into_iter().map(|logged| logged.item.clone()).collect(),
            next_cursor,
            has_more,
            last_reconciled_write_ids: self.write_ids(user),
        })
    }

    fn is_below(&self, logged: &LoggedOperation, root_id: Option<&ItemId>) -> bool {
        let Some(root_id) = root_id else { return true };
        let Ok(item_id) = ItemId::parse(&logged.item.item_id) else { return false };
        item_id == *root_id || self.links.contains_key(&(root_id.clone(), item_id))
    }

    fn is_seen(&self, now: Timestamp, user: &UserId, logged: &LoggedOperation) -> bool {
        let Ok(item_id) = ItemId::parse(&logged.item.item_id) else { return false };
        self.is_visible(now, user, &item_id)
            // What a client pushed, or was told before, addresses nobody: a loss is told by what changed.
            || (logged.item.op_type == OpType::AclRemove
                && ![PUSH_TABLE, ACL_AGAIN].contains(&logged.item.source_table.as_str())
                && principal(logged).is_some_and(|principal| self.is_one_of(user, &principal)))
    }
}

fn principal(logged: &LoggedOperation) -> Option<Principal> {
    let id = PrincipalId::parse(logged.item.principal_id.as_deref()?).ok()?;
    Some(Principal { kind: logged.item.principal_type?, id })
}
