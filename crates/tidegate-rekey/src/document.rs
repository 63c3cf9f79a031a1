//! What the journal's keys hold, and their names.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tidegate_store::kv::{Change, Condition, Entry, Key, KvError, Namespace, Write};

use crate::{Reason, RekeyError, Resolution};

/// What all keys of a subject start with.
pub(crate) fn prefix(id: &str) -> String {
    format!("migration:{id}:")
}

/// A key of a subject.
pub(crate) fn key(id: &str, rest: &str) -> Result<Key, KvError> {
    Key::new(format!("{}{rest}", prefix(id)))
}

/// Bytes, as 64 hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

/// The name that a record has in keys of the journal: 32 hexadecimal digits.
pub(crate) fn record_hash(namespace: &str, key: &str) -> String {
    let mut hash = sha256(format!("{namespace}\0{key}").as_bytes());
    hash.truncate(32);
    hash
}

/// The write that puts a document.
pub(crate) fn put<T: Serialize>(
    journal: &Namespace,
    key: Key,
    document: &T,
    condition: Condition,
) -> Result<Write, RekeyError> {
    let value = serde_json::to_vec(document)
        .map_err(|error| RekeyError::Corrupt { key: key.to_string(), message: error.to_string() })?;
    let change = Change::Put { value: Bytes::from(value), metadata: None, expires_at: None };
    Ok(Write { namespace: journal.clone(), key, change, condition })
}

/// Reads a document.
pub(crate) fn read<T: DeserializeOwned>(key: &Key, entry: &Entry) -> Result<T, RekeyError> {
    serde_json::from_slice(&entry.value)
        .map_err(|error| RekeyError::Corrupt { key: key.to_string(), message: error.to_string() })
}

/// Who may write. Each of the holder's batches is conditional on this key's version and writes it anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// The actor, and a random part.
    pub(crate) holder: String,
    /// Unix seconds: the first second in which others may take over.
    pub(crate) until: i64,
    /// How many holders there were.
    pub(crate) epoch: u64,
    /// How many batches this holder has written: by it a batch whose answer was lost is recognised.
    pub(crate) beat: u64,
}

/// How far a pass has come under one rule and spelling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// The spelling; the number in the key may come to mean another one.
    pub(crate) spelling: String,
    /// The last record that was processed.
    pub(crate) key: String,
}

/// A record that was settled: copied, or found to be there already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settled {
    pub(crate) rule: String,
    pub(crate) namespace: String,
    pub(crate) source: String,
    pub(crate) version: u64,
    pub(crate) destination: String,
    /// Of the bytes that were written; none: nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
}

/// What stood at a new key before it was overwritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Recovery {
    pub(crate) namespace: String,
    pub(crate) key: String,
    /// Base64, with padding.
    pub(crate) value: String,
    pub(crate) metadata: Option<String>,
    /// Unix seconds.
    pub(crate) expires_at: Option<i64>,
    /// Its version. It stands in this record's key too: whatever is overwritten later is saved beside it.
    pub(crate) version: u64,
}

/// A record in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) rule: String,
    pub(crate) namespace: String,
    pub(crate) key: String,
    pub(crate) spelling: String,
    pub(crate) reason: Reason,
    /// Of the record's bytes.
    pub(crate) sha256: String,
}

/// A decision on a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decision {
    pub(crate) rule: String,
    pub(crate) namespace: String,
    pub(crate) key: String,
    pub(crate) spelling: String,
    /// The decision holds for these bytes only.
    pub(crate) sha256: String,
    pub(crate) resolution: Resolution,
    pub(crate) actor: String,
    pub(crate) reason: String,
    /// Unix seconds.
    pub(crate) at: i64,
}
