//! Making a user an administrator, and taking that back.

use serde_json::{Map, Value};
use tidegate_store::kv::{Change, Condition, Key, Kv, Namespace, Version, Write, Written};
use uuid::Uuid;

use super::MigrationError;
use crate::audit::{Action, Audit, Event};

/// The one role there is.
pub const ADMIN: &str = "admin";
/// Tries of the account's write while others write it.
const TRIES_MAX: usize = 4;

/// The role of a user before and after; nothing else of the account is ever shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleChange {
    /// Before; none: the account has no role.
    pub before: Option<String>,
    /// After.
    pub after: Option<String>,
}

impl RoleChange {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.before == self.after
    }
}

/// Grants in these namespaces of a store.
#[derive(Debug)]
pub struct Grants {
    store: Kv,
    users: Namespace,
    audit: Audit,
}

impl Grants {
    /// Accounts are in `users`, the trail is in `migrations`.
    #[must_use]
    pub fn new(store: Kv, users: Namespace, migrations: Namespace) -> Grants {
        let audit = Audit::new(store.clone(), migrations);
        Grants { store, users, audit }
    }

    /// What would change. Nothing is written.
    ///
    /// # Errors
    /// [`MigrationError::Refused`] where there is no such user; [`MigrationError::Corrupt`] where the account cannot
    /// be read.
    pub async fn preview(&self, user_id: &str, revoke: bool) -> Result<RoleChange, MigrationError> {
        let (core, _) = self.core(user_id).await?;
        Ok(change(&core, revoke))
    }

    /// Changes the role, and nothing else: other fields, metadata and expiry stay. The trail has an entry before the
    /// write and one after it. Where there is nothing to do, nothing is written.
    ///
    /// # Errors
    /// As [`Grants::preview`], and [`MigrationError::Audit`] where the trail cannot be written; then nothing was
    /// changed.
    pub async fn apply(
        &self,
        user_id: &str,
        revoke: bool,
        actor: &str,
    ) -> Result<RoleChange, MigrationError> {
        let action = if revoke { Action::RevokeAdmin } else { Action::GrantAdmin };
        if self.preview(user_id, revoke).await?.is_nothing() {
            return self.preview(user_id, revoke).await;
        }
        let event =
            |phase: &str, success| Event::new(action, actor, success).about(user_id).with("phase", phase);
        self.audit.append(event("started", true)).await?;
        let done = self.write_role(user_id, revoke).await;
        let phase = if done.is_ok() { "finished" } else { "failed" };
        self.audit.append(event(phase, done.is_ok())).await?;
        done
    }

    /// Proves that accounts may be written here: a key of its own is written on a condition, and removed.
    ///
    /// # Errors
    /// [`MigrationError`].
    pub async fn prove_scope(&self) -> Result<(), MigrationError> {
        let key = Key::new(format!("tidegate:probe:{}", Uuid::new_v4()))?;
        let write =
            |change, condition| Write { namespace: self.users.clone(), key: key.clone(), change, condition };
        let put =
            Change::Put { value: bytes::Bytes::from_static(b"probe"), metadata: None, expires_at: None };
        let refused =
            || MigrationError::Refused(format!("a key of {} could not be written and removed", self.users));
        let Written::Done(Some(version)) = self.store.write(write(put, Condition::Absent)).await? else {
            return Err(refused());
        };
        match self.store.write(write(Change::Delete, Condition::Version(version))).await? {
            Written::Done(None) => Ok(()),
            _ => Err(refused()),
        }
    }

    async fn write_role(&self, user_id: &str, revoke: bool) -> Result<RoleChange, MigrationError> {
        let key = key_of(user_id)?;
        for _try in 0..TRIES_MAX {
            let (mut core, found) = self.core(user_id).await?;
            let change = change(&core, revoke);
            if change.is_nothing() {
                return Ok(change);
            }
            if revoke {
                core.shift_remove("role");
            } else {
                core.insert("role".to_owned(), Value::from(ADMIN));
            }
            let put = Change::Put {
                value: bytes::Bytes::from(Value::Object(core).to_string()),
                metadata: found.metadata,
                expires_at: found.expires_at,
            };
            let condition = Condition::Version(found.version);
            let write = Write { namespace: self.users.clone(), key: key.clone(), change: put, condition };
            if let Written::Done(_) = self.store.write(write).await? {
                return Ok(change);
            }
        }
        Err(MigrationError::Contended { key: key.to_string(), tries: TRIES_MAX })
    }

    async fn core(&self, user_id: &str) -> Result<(Map<String, Value>, Found), MigrationError> {
        let key = key_of(user_id)?;
        let Some(entry) = self.store.get(&self.users, &key).await? else {
            return Err(MigrationError::Refused(format!(
                "there is no user {user_id} in {}; nothing was changed",
                self.users
            )));
        };
        let corrupt =
            |message: &str| MigrationError::Corrupt { key: key.to_string(), message: message.to_owned() };
        let core: Map<String, Value> =
            serde_json::from_slice(&entry.value).map_err(|_| corrupt("it is no JSON object"))?;
        if core.get("id").and_then(Value::as_str) != Some(user_id) {
            return Err(corrupt("the account names another id than its key"));
        }
        let found = Found { metadata: entry.metadata, expires_at: entry.expires_at, version: entry.version };
        Ok((core, found))
    }
}

struct Found {
    metadata: Option<String>,
    expires_at: Option<tidegate_store::kv::UnixSecond>,
    version: Version,
}

fn key_of(user_id: &str) -> Result<Key, MigrationError> {
    Ok(Key::new(format!("user:{user_id}"))?)
}

fn change(core: &Map<String, Value>, revoke: bool) -> RoleChange {
    let before = core.get("role").and_then(Value::as_str).map(str::to_owned);
    let after = match (revoke, before.as_deref()) {
        (false, _) => Some(ADMIN.to_owned()),
        (true, Some(ADMIN)) => None,
        (true, other) => other.map(str::to_owned),
    };
    RoleChange { before, after }
}
