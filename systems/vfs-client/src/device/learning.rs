//! Learning what items are called: the feed of objects says which changed, and the server what they are now.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vfs_core::Cursor;

use super::{Device, DeviceError, Synced};
use crate::transport::TransportError;
use crate::tree::{Item, name_of};

/// Changes of one page, and items of one look-up.
const PAGE: usize = 500;

impl Device {
    /// Reads the feed of objects to its end, and looks at each item that it names.
    pub(super) fn learn(&mut self, synced: &mut Synced) -> Result<(), DeviceError> {
        let mut cursor = self.store.objects_cursor()?;
        let mut is_anew = false;
        loop {
            let from = cursor.as_deref().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let page = match self.transport.ask("GET", &format!("/v1/vfs/sync?limit={PAGE}{from}"), None) {
                // The server was restored, or is an older one: all of it is read anew, once.
                Err(error) if error.status() == Some(409) && !is_anew => {
                    self.store.forget_items()?;
                    (cursor, is_anew) = (None, true);
                    continue;
                }
                other => other?,
            };
            let (ids, last, has_more) = read(&page)?;
            if let Some(last) = last {
                let found = self.look_up(&ids)?;
                let known: Vec<Item> = found.iter().filter_map(item).collect();
                let there: BTreeSet<&str> = known.iter().map(|item| item.id.as_str()).collect();
                let gone: Vec<String> =
                    ids.iter().filter(|id| !there.contains(id.as_str())).cloned().collect();
                synced.items += known.len();
                self.store.learn(&known, &gone, &last)?;
                cursor = Some(last);
            }
            if !has_more {
                self.generation = self.store.generation()?;
                return Ok(());
            }
        }
    }

    /// What the server says of items, at most as many as one look-up may have. Those that are not seen are left out.
    pub(super) fn look_up(&self, ids: &[String]) -> Result<Vec<Value>, DeviceError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let answer = self.transport.ask("POST", "/v1/vfs/items/lookup", Some(&json!({ "ids": ids })))?;
        let items = answer.get("items").and_then(Value::as_array);
        Ok(items.ok_or_else(|| malformed("items"))?.clone())
    }

    /// The newest blob of an item: its id, when it was attached, and as what. `None`: it has none, or there is no such
    /// item here.
    ///
    /// # Errors
    /// [`DeviceError::Transport`].
    pub fn newest_blob(&self, item_id: &str, kind: Option<&str>) -> Result<Option<String>, DeviceError> {
        let found = self.look_up(&[item_id.to_owned()])?;
        let attachments = found.first().and_then(|item| item.get("attachments")).and_then(Value::as_array);
        let is_wanted = |attachment: &&Value| {
            kind.is_none_or(|kind| attachment.get("relationKind").and_then(Value::as_str) == Some(kind))
        };
        let newest = attachments.into_iter().flatten().find(is_wanted);
        Ok(newest.and_then(|blob| blob.get("blobId")).and_then(Value::as_str).map(str::to_owned))
    }
}

fn malformed(what: &str) -> DeviceError {
    TransportError::Malformed { what: format!("invalid {what}") }.into()
}

/// The items of a page, each once; where it ends; whether there is more.
fn read(page: &Value) -> Result<(Vec<String>, Option<String>, bool), DeviceError> {
    let items = page.get("items").and_then(Value::as_array).ok_or_else(|| malformed("sync items"))?;
    let mut ids = BTreeSet::new();
    let mut last = None;
    for item in items {
        let field = |name: &str| item.get(name).and_then(Value::as_str);
        let id = field("itemId").ok_or_else(|| malformed("sync item"))?;
        let at = field("changedAt").and_then(|at| at.parse().ok()).zip(field("changeId"));
        let cursor = at.and_then(|(at, id)| Cursor::new(at, id));
        ids.insert(id.to_owned());
        last = Some(cursor.ok_or_else(|| malformed("sync cursor"))?.encode());
    }
    let has_more = page.get("hasMore").and_then(Value::as_bool).ok_or_else(|| malformed("sync hasMore"))?;
    if has_more && last.is_none() {
        return Err(malformed("sync page: it is empty and has more"));
    }
    Ok((ids.into_iter().collect(), last, has_more))
}

fn item(value: &Value) -> Option<Item> {
    let field = |name: &str| value.get(name).and_then(Value::as_str);
    Some(Item {
        id: field("id")?.to_owned(),
        object_type: field("objectType")?.to_owned(),
        owner_id: field("ownerId").map(str::to_owned),
        name: field("metadata").and_then(name_of),
    })
}
