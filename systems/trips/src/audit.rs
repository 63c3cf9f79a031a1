//! The audit trail: one key for each event, written once and never changed.
//!
//! A key is `audit:<YYYY-MM>:<UTC time to the microsecond>:<random id>` in the namespace of migrations. It has no
//! expiry, and nothing here overwrites or removes one. Two events at once are two keys, so that none is lost.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidegate_store::kv::{Change, Condition, Key, Kv, KvError, Namespace, PAGE_MAX, Write, Written};
use uuid::Uuid;

/// Entries of one page of a listing.
pub const PAGE_ENTRIES_MAX: usize = 500;
/// Keys that one page may look at; a page that has looked at so many says where the next one starts.
const LOOKED_AT_MAX: usize = 20_000;
/// Characters of an actor's name.
const ACTOR_CHARS_MAX: usize = 200;
/// Characters of one text among the details. Details are ids, counts and short codes.
const DETAIL_CHARS_MAX: usize = 200;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Keys of a user were judged or copied.
    StorageMigration,
    /// The index of a user was rebuilt as part of a migration.
    DoMigration,
    /// A sign-in set a migration going, or did not.
    AutoMigration,
    /// Automatic migration was allowed for a time.
    AutoAuthorization,
    /// A user became an administrator.
    GrantAdmin,
    /// A user is none any more.
    RevokeAdmin,
    /// All migration was stopped, or let go on.
    KillSwitch,
    /// Legacy keys were removed.
    Cleanup,
    /// A quarantined record was decided on.
    QuarantineResolved,
    /// Dual reading was turned on or off.
    DualRead,
    /// An index was rebuilt by itself.
    IndexRepair,
    /// A snapshot was written back.
    Restore,
}

/// An event, before it is written.
#[derive(Debug, Clone)]
pub struct Event {
    action: Action,
    actor: String,
    ip: Option<String>,
    details: Map<String, Value>,
    success: bool,
}

impl Event {
    /// An event of this actor: a user's id, a token's name, an operator's name, or `system:<what>`.
    #[must_use]
    pub fn new(action: Action, actor: &str, success: bool) -> Event {
        let actor = actor.chars().take(ACTOR_CHARS_MAX).collect();
        Event { action, actor, ip: None, details: Map::new(), success }
    }

    /// From where it was asked.
    #[must_use]
    pub fn from_ip(mut self, ip: Option<&str>) -> Event {
        self.ip = ip.map(|ip| ip.chars().take(64).collect());
        self
    }

    /// The user whom it is about.
    #[must_use]
    pub fn about(self, user_id: &str) -> Event {
        self.with("userId", user_id)
    }

    /// A detail: an id, a count, a code. Longer texts are cut.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Event {
        let value = match value.into() {
            Value::String(text) => Value::String(text.chars().take(DETAIL_CHARS_MAX).collect()),
            other => other,
        };
        self.details.insert(name.to_owned(), value);
        self
    }
}

/// An event that is in the trail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When, UTC, to the microsecond.
    pub timestamp: Timestamp,
    /// What.
    pub action: Action,
    /// Who: the real user's id, the token's name, or `system:auto`.
    pub actor: String,
    /// From where, if it came over the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// Ids and counts.
    pub details: Map<String, Value>,
    /// Whether it was done. Of an event that only says that something begins: true.
    pub success: bool,
}

/// A part of a month's trail, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// Where the next page starts; none: this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Keys on this page that hold no entry that can be read. They are kept, too.
    pub unreadable: u64,
}

/// Why an event was not written, or the trail not read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuditError {
    /// The store did not do it. What was to be audited must not be done.
    #[error("the audit trail cannot be used: {0}; nothing that needs an entry is done until it can")]
    Store(#[from] KvError),
    /// The same key stood there already, twice.
    #[error("the audit entry {key} stands there already; ask again")]
    Taken {
        /// Its key.
        key: String,
    },
    /// The time cannot be written.
    #[error("the store's time {second} s is no time that a date can say; set its clock")]
    Time {
        /// Seconds since 1970.
        second: i64,
    },
    /// The month is none.
    #[error("`{month}` is no month; write YYYY-MM")]
    Month {
        /// What was given.
        month: String,
    },
    /// The entry cannot be written as JSON.
    #[error("the audit entry cannot be written: {0}")]
    Unwritable(String),
}

/// The trail.
#[derive(Clone)]
pub struct Audit {
    store: Kv,
    namespace: Namespace,
    last: Arc<AtomicI64>,
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl Audit {
    /// The trail in this namespace of a store.
    #[must_use]
    pub fn new(store: Kv, namespace: Namespace) -> Audit {
        Audit { store, namespace, last: Arc::new(AtomicI64::new(i64::MIN)) }
    }

    /// Writes an event, and returns its key.
    ///
    /// # Errors
    /// [`AuditError`]; then what the event is about must not be done.
    pub async fn append(&self, event: Event) -> Result<Key, AuditError> {
        let mut key = None;
        // Two random ids are never the same; the second try is for an answer that was lost on the way.
        for _try in 0..2 {
            let timestamp = self.time().await?;
            let stamp = timestamp.strftime("%Y-%m:%Y-%m-%dT%H:%M:%S%.6fZ");
            let name = Key::new(format!("audit:{stamp}:{}", Uuid::new_v4()))?;
            let entry = AuditEntry {
                timestamp,
                action: event.action,
                actor: event.actor.clone(),
                ip: event.ip.clone(),
                details: event.details.clone(),
                success: event.success,
            };
            let value =
                serde_json::to_vec(&entry).map_err(|error| AuditError::Unwritable(error.to_string()))?;
            let write = Write {
                namespace: self.namespace.clone(),
                key: name.clone(),
                change: Change::Put { value: Bytes::from(value), metadata: None, expires_at: None },
                condition: Condition::Absent,
            };
            match self.store.write(write).await? {
                Written::Done(_) => return Ok(name),
                Written::Refused(_) => key = Some(name.to_string()),
            }
        }
        Err(AuditError::Taken { key: key.unwrap_or_default() })
    }

    /// The entries of a month `YYYY-MM`, oldest first, behind `after`; with an action only those
    /// of it, with a subject only those about that user.
    ///
    /// # Errors
    /// [`AuditError`].
    pub async fn month(
        &self,
        month: &str,
        action: Option<&str>,
        subject: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<AuditPage, AuditError> {
        if !is_month(month) {
            return Err(AuditError::Month { month: month.chars().take(20).collect() });
        }
        let limit = limit.clamp(1, PAGE_ENTRIES_MAX);
        let prefix = format!("audit:{month}:");
        let mut after = after.map(Key::new).transpose()?;
        let (mut entries, mut unreadable, mut looked_at) = (Vec::new(), 0, 0);
        loop {
            let page = self.store.list(&self.namespace, &prefix, after.as_ref(), PAGE_MAX.min(limit)).await?;
            let keys: Vec<Key> = page.entries.into_iter().map(|listed| listed.key).collect();
            looked_at += keys.len();
            let found = self.store.get_many(&self.namespace, &keys).await?;
            for (key, entry) in keys.into_iter().zip(found) {
                if entries.len() == limit {
                    return Ok(AuditPage { entries, next: after.map(|key| key.to_string()), unreadable });
                }
                after = Some(key);
                let Some(entry) = entry else { continue };
                match serde_json::from_slice::<AuditEntry>(&entry.value) {
                    Ok(entry)
                        if subject.is_none_or(|subject| is_about(&entry, subject))
                            && action.is_none_or(|action| is_action(&entry, action)) =>
                    {
                        entries.push(entry)
                    }
                    Ok(_) => {}
                    Err(_) => unreadable += 1,
                }
            }
            if page.complete {
                return Ok(AuditPage { entries, next: None, unreadable });
            }
            if looked_at >= LOOKED_AT_MAX {
                return Ok(AuditPage { entries, next: after.map(|key| key.to_string()), unreadable });
            }
        }
    }

    /// The store's second with a part of a second of this machine; what one trail writes follows in its order.
    async fn time(&self) -> Result<Timestamp, AuditError> {
        let second = self.store.now().await?.0;
        let part = i64::from(Timestamp::now().subsec_microsecond());
        let now = second.saturating_mul(1_000_000).saturating_add(part);
        // A clock that was set back by a minute or more was wrong before: what it says now is used.
        let after = |last: i64| if last >= now && last - now < 60_000_000 { last + 1 } else { now };
        let last = self.last.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(after(last)));
        let now = after(last.unwrap_or(i64::MIN));
        Timestamp::from_microsecond(now).map_err(|_| AuditError::Time { second })
    }
}

fn is_action(entry: &AuditEntry, action: &str) -> bool {
    serde_json::to_value(entry.action).is_ok_and(|known| known == *action)
}

fn is_about(entry: &AuditEntry, subject: &str) -> bool {
    entry.details.get("userId").and_then(Value::as_str) == Some(subject) || entry.actor == subject
}

fn is_month(text: &str) -> bool {
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    text.split_once('-')
        .is_some_and(|(year, month)| year.len() == 4 && month.len() == 2 && digits(year) && digits(month))
}
