//! From what somebody typed to whose keys are meant.
//!
//! What is typed is a user name or a user's id and is only looked up: the spellings under which legacy keys are read
//! come from the stored account, never from the request.

use serde_json::Value;
use tidegate_rekey::Subject;
use tidegate_store::kv::{Key, KvStore};

use super::MigrationError;
use crate::keyspace;

/// A user who was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Whose keys, and under which spellings.
    pub subject: Subject,
    /// The stored account.
    pub core: Value,
}

/// The user whom this input means: an id if it has the form of one and is one, else a user name in any case. `None`:
/// there is none.
///
/// # Errors
/// [`MigrationError`]; [`MigrationError::Corrupt`] where the account cannot be read.
pub async fn find(store: &dyn KvStore, input: &str) -> Result<Option<Found>, MigrationError> {
    let input = input.trim();
    if uuid::Uuid::try_parse(input).is_ok() && input.len() == 36 {
        // Ids are written in lower case.
        if let Some(found) = by_id(store, &input.to_lowercase()).await? {
            return Ok(Some(found));
        }
    }
    let Ok(key) = Key::new(format!("idx:username:{}", input.to_lowercase())) else { return Ok(None) };
    let Some(entry) = store.get(&keyspace::users(), &key).await? else { return Ok(None) };
    let text = String::from_utf8_lossy(&entry.value).into_owned();
    let id = serde_json::from_str::<String>(&text).unwrap_or(text);
    by_id(store, id.trim()).await
}

/// The user with this id.
///
/// # Errors
/// [`MigrationError`].
pub async fn by_id(store: &dyn KvStore, id: &str) -> Result<Option<Found>, MigrationError> {
    let Ok(key) = Key::new(format!("user:{id}")) else { return Ok(None) };
    let Some(entry) = store.get(&keyspace::users(), &key).await? else { return Ok(None) };
    let core = core_of(&key, id, &entry.value)?;
    Ok(Some(Found { subject: subject_of(store, id, &core).await?, core }))
}

/// The subject of a stored account. What is another account's id, or lies within the keys of this one's, is none of its
/// spellings: who takes somebody's id as a name gets nothing by it.
///
/// # Errors
/// [`MigrationError::Rekey`] where the account has no id that a key can hold.
pub async fn subject_of(store: &dyn KvStore, id: &str, core: &Value) -> Result<Subject, MigrationError> {
    let within = format!("{id}:");
    let mut spellings = keyspace::legacy_spellings_of(id, core);
    // What cannot be in a key has no keys.
    spellings
        .retain(|spelling| !spelling.starts_with(&within) && Key::new(format!("user:{spelling}")).is_ok());
    let keys: Vec<Key> = spellings.iter().filter_map(|one| Key::new(format!("user:{one}")).ok()).collect();
    let mut are_ids =
        store.get_many(&keyspace::users(), &keys).await?.into_iter().map(|found| found.is_some());
    spellings.retain(|_| !are_ids.next().unwrap_or(true));
    Ok(Subject::new(id, spellings)?)
}

/// The account that stands at a key, which must name the id of the key.
pub(super) fn core_of(key: &Key, id: &str, value: &[u8]) -> Result<Value, MigrationError> {
    let corrupt = |message: String| MigrationError::Corrupt { key: key.to_string(), message };
    let core: Value = serde_json::from_slice(value).map_err(|error| corrupt(error.to_string()))?;
    match core.get("id").and_then(Value::as_str) {
        Some(stored) if stored == id => Ok(core),
        Some(_) => Err(corrupt("the account names another id than its key".to_owned())),
        None => Err(corrupt("the account names no id".to_owned())),
    }
}
