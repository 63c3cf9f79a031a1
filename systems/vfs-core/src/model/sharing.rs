//! Giving and taking away access: what the feeds are told of it.

use std::collections::BTreeMap;

use super::{ACL_AGAIN, ACL_TABLE, ChangeType, Entry, Model, ModelError, Told, link_item};
use crate::feed::FeedItem;
use crate::id::{ItemId, UserId};
use crate::operation::{AccessLevel, OpType, Principal, PrincipalType};
use crate::timestamp::Timestamp;

/// A share that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The id of its entry, if it is new.
    pub entry_id: String,
    /// Of what.
    pub item_id: ItemId,
    /// With whom.
    pub principal: Principal,
    /// How much.
    pub level: AccessLevel,
    /// Until when, not at that moment any more; `None`: for ever.
    pub expires_at: Option<Timestamp>,
}

impl Model {
    /// Shares an item, as its owner. An entry that was revoked, or has expired, is revived under its own id.
    ///
    /// The feed is told of the grant, then again of each link above the item and of each that is no more, and of who else
    /// has access and who no more: whoever reads it from now on has not seen what was told before, or while there was no
    /// access.
    ///
    /// # Errors
    /// [`ModelError::ItemNotFound`], [`ModelError::NotTheOwner`], or [`ModelError::ShareExists`] where it is active.
    pub fn grant(&mut self, now: Timestamp, by: &UserId, share: &Share) -> Result<(), ModelError> {
        self.owned(by, &share.item_id)?;
        let key = (share.item_id.clone(), share.principal.clone());
        let known = self.entries.get(&key);
        if known.is_some_and(|known| known.is_active(now)) {
            return Err(ModelError::ShareExists);
        }
        let id = known.map_or_else(|| share.entry_id.clone(), |known| known.id.clone());
        let entry = Entry { id, level: share.level, expires_at: share.expires_at, is_revoked: false };
        self.entries.insert(key, entry.clone());
        let mut told = Told::default();
        if entry.is_active(now) {
            self.tell_grant(&mut told, by, &share.item_id, &share.principal, &entry, true);
        }
        self.tell(now, told);
        Ok(())
    }

    /// Takes a share away, as the item's owner. The feed tells it to who loses it.
    ///
    /// # Errors
    /// [`ModelError::ItemNotFound`], [`ModelError::NotTheOwner`], or [`ModelError::ShareNotFound`] where there is none
    /// that is not revoked.
    pub fn revoke(
        &mut self,
        now: Timestamp,
        by: &UserId,
        item_id: &ItemId,
        principal: &Principal,
    ) -> Result<(), ModelError> {
        self.owned(by, item_id)?;
        let entry = self.entries.get_mut(&(item_id.clone(), principal.clone()));
        let entry = entry.filter(|entry| !entry.is_revoked).ok_or(ModelError::ShareNotFound)?;
        entry.is_revoked = true;
        let id = entry.id.clone();
        let mut told = Told::default();
        told.operation(acl_item(OpType::AclRemove, by, item_id, principal, None, &id));
        told.change(item_id, ChangeType::Acl, Some(by));
        self.tell(now, told);
        Ok(())
    }

    /// Changes a share that is not revoked, as the item's owner: `None` leaves what is asked about as it is.
    ///
    /// The feed is told what comes of it: a grant, with the links above the item where it had run out before; that it
    /// is taken away, where it runs out with this; nothing, where nothing is another or it stays run out.
    ///
    /// # Errors
    /// As [`Model::revoke`].
    pub fn change_share(
        &mut self,
        now: Timestamp,
        by: &UserId,
        item_id: &ItemId,
        principal: &Principal,
        level: Option<AccessLevel>,
        expires_at: Option<Option<Timestamp>>,
    ) -> Result<(), ModelError> {
        self.owned(by, item_id)?;
        let entry = self.entries.get_mut(&(item_id.clone(), principal.clone()));
        let entry = entry.filter(|entry| !entry.is_revoked).ok_or(ModelError::ShareNotFound)?;
        let before = entry.clone();
        entry.level = level.unwrap_or(entry.level);
        entry.expires_at = expires_at.unwrap_or(entry.expires_at);
        let after = entry.clone();
        let mut told = Told::default();
        match (before.is_active(now), after.is_active(now)) {
            (false, true) => self.tell_grant(&mut told, by, item_id, principal, &after, true),
            (true, true) if after != before => {
                self.tell_grant(&mut told, by, item_id, principal, &after, false);
            }
            (true, false) => {
                told.operation(acl_item(OpType::AclRemove, by, item_id, principal, None, &after.id));
                told.change(item_id, ChangeType::Acl, Some(by));
            }
            _ => {}
        }
        self.tell(now, told);
        Ok(())
    }

    fn tell_grant(
        &self,
        told: &mut Told,
        by: &UserId,
        item_id: &ItemId,
        principal: &Principal,
        entry: &Entry,
        is_new: bool,
    ) {
        told.operation(acl_item(OpType::AclAdd, by, item_id, principal, Some(entry.level), &entry.id));
        if is_new {
            for (parent_id, op_type) in self.links_told(item_id) {
                told.operation(link_item(op_type, &parent_id, item_id, ACL_TABLE, &entry.id));
            }
            for (other, (op_type, level)) in self.access_told(item_id) {
                if other != (principal.kind.as_str(), principal.id.to_string()) {
                    told.operation(again(op_type, item_id, other, level, &entry.id));
                }
            }
        }
        told.change(item_id, ChangeType::Acl, Some(by));
    }

    fn owned(&self, by: &UserId, item_id: &ItemId) -> Result<(), ModelError> {
        match self.owners.get(item_id) {
            None => Err(ModelError::ItemNotFound),
            Some(owner) if owner != by => Err(ModelError::NotTheOwner),
            Some(_) => Ok(()),
        }
    }

    /// The last word of the feed about each parent that an item ever lay in, by their bytes.
    fn links_told(&self, item_id: &ItemId) -> BTreeMap<ItemId, OpType> {
        let told = self.operations().filter(|item| item.item_id == item_id.as_str());
        let link = |item: &FeedItem| Some((ItemId::parse(item.parent_id.as_deref()?).ok()?, item.op_type));
        told.filter_map(link).collect()
    }

    /// The last word of the feed about the access of each principal, by the bytes of its kind and its id.
    fn access_told(&self, item_id: &ItemId) -> BTreeMap<Named, (OpType, Option<AccessLevel>)> {
        let told = self.operations().filter(|item| item.item_id == item_id.as_str());
        let access = |item: &FeedItem| {
            let named = (item.principal_type?.as_str(), item.principal_id.clone()?);
            Some((named, (item.op_type, item.access_level)))
        };
        told.filter_map(access).collect()
    }
}

/// A principal's kind and its id.
type Named = (&'static str, String);

/// What was told about a principal, once more.
fn again(
    op_type: OpType,
    item_id: &ItemId,
    (kind, id): Named,
    level: Option<AccessLevel>,
    entry_id: &str,
) -> FeedItem {
    FeedItem {
        op_id: String::new(),
        item_id: item_id.to_string(),
        op_type,
        principal_type: PrincipalType::parse(kind),
        principal_id: Some(id),
        access_level: level,
        parent_id: None,
        child_id: None,
        actor_id: None,
        source_table: ACL_AGAIN.to_owned(),
        source_id: entry_id.to_owned(),
        occurred_at: String::new(),
    }
}

fn acl_item(
    op_type: OpType,
    by: &UserId,
    item_id: &ItemId,
    principal: &Principal,
    level: Option<AccessLevel>,
    entry_id: &str,
) -> FeedItem {
    FeedItem {
        op_id: String::new(),
        item_id: item_id.to_string(),
        op_type,
        principal_type: Some(principal.kind),
        principal_id: Some(principal.id.to_string()),
        access_level: level,
        parent_id: None,
        child_id: None,
        actor_id: Some(by.to_string()),
        source_table: ACL_TABLE.to_owned(),
        source_id: entry_id.to_owned(),
        occurred_at: String::new(),
    }
}
