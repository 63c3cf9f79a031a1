//! JSON documents of the migration in the store: read with their version, written on a condition.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidegate_store::kv::{
    Change, Condition, Key, KvError, KvStore, Namespace, UnixSecond, Version, Write, Written,
};

use super::MigrationError;

/// A document and what a write of it can be conditional on.
#[derive(Debug, Clone)]
pub(crate) struct Document<T> {
    pub(crate) value: T,
    pub(crate) version: Version,
}

/// The document at a key.
pub(crate) async fn read<T: DeserializeOwned>(
    store: &dyn KvStore,
    namespace: &Namespace,
    key: &str,
) -> Result<Option<Document<T>>, MigrationError> {
    let key = Key::new(key)?;
    let Some(entry) = store.get(namespace, &key).await? else { return Ok(None) };
    match serde_json::from_slice(&entry.value) {
        Ok(value) => Ok(Some(Document { value, version: entry.version })),
        Err(error) => Err(MigrationError::Corrupt { key: key.to_string(), message: error.to_string() }),
    }
}

/// The write of a document.
pub(crate) fn put(
    namespace: &Namespace,
    key: &str,
    value: &impl Serialize,
    expires_at: Option<UnixSecond>,
    condition: Condition,
) -> Result<Write, MigrationError> {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| MigrationError::Corrupt { key: key.to_owned(), message: error.to_string() })?;
    Ok(Write {
        namespace: namespace.clone(),
        key: Key::new(key)?,
        change: Change::Put { value: Bytes::from(bytes), metadata: None, expires_at },
        condition,
    })
}

/// Makes one write; whether its condition held.
pub(crate) async fn made(store: &dyn KvStore, write: Write) -> Result<bool, KvError> {
    Ok(matches!(store.write(write).await?, Written::Done(_)))
}

/// The condition under which what was read may be replaced.
pub(crate) fn unchanged<T>(found: Option<&Document<T>>) -> Condition {
    found.map_or(Condition::Absent, |document| Condition::Version(document.version))
}
