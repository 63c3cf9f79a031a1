//! Writing what changed, and the sum with it.

use rusqlite::{OptionalExtension as _, Transaction};
use serde::Serialize;
use vfs_core::client::{Client, QueuedOperation, RejectedOperation};
use vfs_core::id::trimmed;
use vfs_core::pulled_items::PulledItems;

use super::rows::{self, ACL, CLOCK, HEAD, LINK, PENDING, REJECTED, Sum};

/// What of a state may have changed, beside its head and its queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Touched<'a> {
    /// Nothing.
    Queue,
    /// What these items are about.
    Page(&'a PulledItems),
    /// All of it.
    Everything,
}

/// A transaction that keeps the sum of the rows as it changes them.
struct Writer<'a> {
    transaction: &'a Transaction<'a>,
    sum: Sum,
}

impl Writer<'_> {
    fn stored(&self, kind: &str, key: &str) -> rusqlite::Result<Option<String>> {
        let mut statement =
            self.transaction.prepare_cached("SELECT value FROM state WHERE kind = ?1 AND key = ?2")?;
        statement.query_row([kind, key], |row| row.get(0)).optional()
    }

    fn put(&mut self, kind: &str, key: &str, value: &str) -> rusqlite::Result<()> {
        let stored = self.stored(kind, key)?;
        if stored.as_deref() == Some(value) {
            return Ok(());
        }
        if let Some(stored) = stored {
            self.sum.take(kind, key, &stored);
        }
        let sql = "INSERT INTO state VALUES (?1, ?2, ?3)
                   ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value";
        self.transaction.prepare_cached(sql)?.execute([kind, key, value])?;
        self.sum.add(kind, key, value);
        Ok(())
    }

    fn take(&mut self, kind: &str, key: &str) -> rusqlite::Result<()> {
        let Some(stored) = self.stored(kind, key)? else { return Ok(()) };
        let sql = "DELETE FROM state WHERE kind = ?1 AND key = ?2";
        self.transaction.prepare_cached(sql)?.execute([kind, key])?;
        self.sum.take(kind, key, &stored);
        Ok(())
    }

    /// What is there under a key, or that nothing is.
    fn set(&mut self, kind: &str, key: &str, value: Option<&str>) -> rusqlite::Result<()> {
        match value {
            Some(value) => self.put(kind, key, value),
            None => self.take(kind, key),
        }
    }
}

/// Writes what changed since `pending` and `rejected` were the queue.
pub(super) fn keep(
    transaction: &Transaction<'_>,
    client: &Client,
    touched: &Touched<'_>,
    pending: &[QueuedOperation],
    rejected: &[RejectedOperation],
) -> rusqlite::Result<()> {
    let stored: Option<String> = transaction
        .query_row("SELECT value FROM meta WHERE name = 'sum'", [], |row| row.get(0))
        .optional()?;
    let sum = stored.and_then(|text| Sum::of_text(&text)).unwrap_or_default();
    let mut writer = Writer { transaction, sum };
    match touched {
        Touched::Queue => queue(&mut writer, client, pending, rejected)?,
        Touched::Page(items) => {
            page(&mut writer, client, items)?;
            queue(&mut writer, client, pending, rejected)?;
        }
        Touched::Everything => {
            transaction.execute("DELETE FROM state", [])?;
            writer.sum = Sum::default();
            everything(&mut writer, client)?;
        }
    }
    writer.put(HEAD, "", &rows::head(client))?;
    let sum = writer.sum.to_text();
    super::Store::set_meta(transaction, "sum", &sum)
}

fn json(value: &impl Serialize) -> String {
    super::json(value)
}

fn page(writer: &mut Writer<'_>, client: &Client, items: &PulledItems) -> rusqlite::Result<()> {
    let text = |field: Option<&str>| field.map(|text| trimmed(text).to_owned());
    for item in items.iter() {
        let container = if item.op_type.is_acl() {
            let item_id = trimmed(item.item_id).to_owned();
            let (Some(kind), Some(id)) = (item.principal_type, text(item.principal_id)) else { continue };
            let level = client.replay().access(&item_id, kind, &id);
            let entry = level.map(|access_level| {
                json(&vfs_core::replay::ReplayedAcl {
                    item_id: item_id.clone(),
                    principal_type: kind,
                    principal_id: id.clone(),
                    access_level,
                })
            });
            writer.set(ACL, &json(&(&item_id, kind, &id)), entry.as_deref())?;
            item_id
        } else {
            let (Some(parent_id), Some(child_id)) = (text(item.parent_id), text(item.child_id)) else {
                continue;
            };
            let link = vfs_core::replay::ReplayedLink { parent_id, child_id };
            let is_there = client.replay().has_link(&link.parent_id, &link.child_id);
            let entry = is_there.then(|| json(&link));
            writer.set(LINK, &json(&(&link.parent_id, &link.child_id)), entry.as_deref())?;
            link.parent_id
        };
        if let Some(changed) = client.clocks().get(&container) {
            let clock = vfs_core::container_clock::ContainerClock {
                container_id: container.clone(),
                changed: changed.clone(),
            };
            writer.put(CLOCK, &container, &json(&clock))?;
        }
    }
    Ok(())
}

fn everything(writer: &mut Writer<'_>, client: &Client) -> rusqlite::Result<()> {
    let state = client.export_state();
    for entry in &state.replay_snapshot.acl {
        let key = json(&(&entry.item_id, entry.principal_type, &entry.principal_id));
        writer.put(ACL, &key, &json(entry))?;
    }
    for link in &state.replay_snapshot.links {
        writer.put(LINK, &json(&(&link.parent_id, &link.child_id)), &json(link))?;
    }
    for clock in &state.container_clocks {
        writer.put(CLOCK, &clock.container_id, &json(clock))?;
    }
    queue(writer, client, &[], &[])
}

/// A key that is in the order of its numbers.
fn numbered(number: u64) -> String {
    format!("{number:020}")
}

fn queue(
    writer: &mut Writer<'_>,
    client: &Client,
    pending: &[QueuedOperation],
    rejected: &[RejectedOperation],
) -> rusqlite::Result<()> {
    let number = |queued: &QueuedOperation| queued.operation.write_id.get();
    let (mut was, mut is) = (pending.iter().peekable(), client.pending().iter().peekable());
    loop {
        match (was.peek(), is.peek()) {
            (None, None) => break,
            (Some(old), Some(new)) if number(old) == number(new) => {
                if old != new {
                    writer.put(PENDING, &numbered(number(new)), &json(new))?;
                }
                was.next();
                is.next();
            }
            (Some(old), new) if new.is_none_or(|new| number(old) < number(new)) => {
                writer.take(PENDING, &numbered(number(old)))?;
                was.next();
            }
            (_, Some(new)) => {
                writer.put(PENDING, &numbered(number(new)), &json(new))?;
                is.next();
            }
            (Some(_), None) => {
                was.next();
            }
        }
    }
    let now = client.rejected();
    for index in 0..rejected.len().max(now.len()) {
        if rejected.get(index) != now.get(index) {
            let entry = now.get(index).map(json);
            writer.set(REJECTED, &format!("{index:020}"), entry.as_deref())?;
        }
    }
    Ok(())
}
