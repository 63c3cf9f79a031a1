//! Keys that say whose something is: of a passkey's credential, in two families of keys, and of a customer at the
//! provider of payments.
//!
//! Their keys do not change. Where one of them holds a proven name of the user it holds the id from then on; where one
//! is missing it is written; where it names somebody else it is left as it is and reported.

use bytes::Bytes;
use serde_json::Value;
use tidegate_store::kv::{Change, Condition, Key, KvStore, Write, Written};

use super::MigrationError;
use crate::keyspace;

/// Credentials of one user.
const CREDENTIALS_MAX: usize = 100;
/// Tries of one key that others write at the same time.
const TRIES_MAX: usize = 8;

/// What came of the links of one user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Linked {
    /// Keys that were looked at.
    pub found: u64,
    /// Of these, written, or in a dry run to be written.
    pub written: u64,
    /// Keys that name somebody else. They are not changed.
    pub of_others: Vec<String>,
}

/// Makes the links of a user name the id; with `apply` false only counts.
///
/// # Errors
/// [`MigrationError`].
///
/// # Idempotence
/// A second call writes nothing.
pub async fn link(
    store: &dyn KvStore,
    user_id: &str,
    proven: &[String],
    core: &Value,
    apply: bool,
) -> Result<Linked, MigrationError> {
    let users = keyspace::users();
    let mut credentials = Vec::new();
    collect(core.get("authenticators"), &mut credentials);
    for owner in proven.iter().map(String::as_str).chain([user_id]) {
        let key = Key::new(format!("authenticators:{owner}"))?;
        let Some(entry) = store.get(&users, &key).await? else { continue };
        // One that is not JSON is an error of its rule; there is no link in it.
        if let Ok(value) = serde_json::from_slice::<Value>(&entry.value) {
            collect(Some(&value), &mut credentials);
        }
    }
    if credentials.len() > CREDENTIALS_MAX {
        return Err(MigrationError::TooMany { what: "passkeys of one user", limit: CREDENTIALS_MAX });
    }
    let mut keys: Vec<String> = Vec::new();
    for credential in &credentials {
        keys.push(format!("credential:{credential}"));
        keys.push(format!("idx:credential:{credential}"));
    }
    if let Some(customer) = core.get("stripeCustomerId").and_then(Value::as_str).filter(|id| !id.is_empty()) {
        keys.push(format!("stripe:customer:{customer}"));
    }
    let mut linked = Linked::default();
    for key in keys {
        linked.found += 1;
        match one(store, &Key::new(key.as_str())?, user_id, proven, apply).await? {
            Link::Kept => {}
            Link::Written => linked.written += 1,
            Link::OfAnother => linked.of_others.push(key),
        }
    }
    Ok(linked)
}

enum Link {
    Kept,
    Written,
    OfAnother,
}

async fn one(
    store: &dyn KvStore,
    key: &Key,
    user_id: &str,
    proven: &[String],
    apply: bool,
) -> Result<Link, MigrationError> {
    let namespace = keyspace::users();
    for _try in 0..TRIES_MAX {
        let found = store.get(&namespace, key).await?;
        let (value, metadata, expires_at, condition) = match found {
            None => (user_id.to_owned(), None, None, Condition::Absent),
            Some(entry) => {
                let text = String::from_utf8_lossy(&entry.value).into_owned();
                // Older ones hold the text itself, newer ones a JSON string.
                let as_json = serde_json::from_str::<String>(&text).ok();
                let owner = as_json.as_deref().unwrap_or(&text);
                if owner == user_id {
                    return Ok(Link::Kept);
                }
                if !proven.iter().any(|spelling| spelling == owner) {
                    return Ok(Link::OfAnother);
                }
                let value =
                    if as_json.is_some() { Value::from(user_id).to_string() } else { user_id.to_owned() };
                (value, entry.metadata, entry.expires_at, Condition::Version(entry.version))
            }
        };
        let change = Change::Put { value: Bytes::from(value), metadata, expires_at };
        let write = Write { namespace: namespace.clone(), key: key.clone(), change, condition };
        if !apply || matches!(store.write(write).await?, Written::Done(_)) {
            return Ok(Link::Written);
        }
    }
    Err(MigrationError::Contended { key: key.to_string(), tries: TRIES_MAX })
}

/// The credentials' ids in a list of passkeys: texts, or objects that have `credentialID`, `credentialId` or `id`.
fn collect(passkeys: Option<&Value>, into: &mut Vec<String>) {
    let listed = match passkeys {
        Some(Value::Array(listed)) => listed,
        Some(Value::Object(fields)) => match fields.get("authenticators") {
            Some(Value::Array(listed)) => listed,
            _ => return,
        },
        _ => return,
    };
    for passkey in listed {
        let names = ["credentialID", "credentialId", "id"];
        let id = passkey.as_str().or_else(|| names.iter().find_map(|name| passkey.get(name)?.as_str()));
        if let Some(id) = id.filter(|id| !id.is_empty())
            && !into.iter().any(|known| known == id)
        {
            into.push(id.to_owned());
        }
    }
}
