//! Why a record was not moved.

use std::collections::BTreeSet;

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

/// Why a record was not moved; its code stands in JSON as `code`.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "camelCase")]
pub enum Reason {
    /// Conflict: both were last changed at one time, and they differ.
    #[error("both records were last changed at the same time and differ; save the right one again")]
    SameClockDifferentBytes,
    /// Conflict: they differ, and which is newer cannot be told.
    #[error(
        "the records differ and which is newer cannot be told; save the right one again, or leave this one"
    )]
    NoClock,
    /// Conflict: what stands at the destination is not JSON.
    #[error("what stands at the new key is not JSON: {message}; mend or remove it")]
    DestinationNotJson {
        /// Why.
        message: String,
    },
    /// Conflict: the record was moved and removed there, and the legacy record was written after.
    #[error("the record was removed at the new key, and the legacy record was written after it was copied")]
    ChangedAfterRemoval,
    /// Quarantine: the body names somebody else.
    #[error("the record names `{named}`, who is not known to be its owner")]
    OtherOwner {
        /// Whom it names, shortened.
        named: String,
    },
    /// Quarantine: several accounts may claim the spelling.
    #[error("several accounts may claim this name: {}", joined(.ids))]
    SeveralClaimants {
        /// Their ids.
        ids: BTreeSet<String>,
    },
    /// Quarantine: no account, or only another one, claims the spelling.
    #[error("the account does not claim this name itself; those that do: {}", joined(.ids))]
    NotTheClaimant {
        /// Ids of those that do.
        ids: BTreeSet<String>,
    },
    /// Quarantine: the key can be read as one of a longer name.
    #[error("the key can also be one of `{name}`, which is another account's name")]
    LongerName {
        /// The name.
        name: String,
    },
    /// Failure: the body is not JSON.
    #[error("the record is not JSON: {message}; mend or remove it, or leave it")]
    NotJson {
        /// Why.
        message: String,
    },
    /// Failure: there is no new key for it.
    #[error("there is no new key for this record: {message}")]
    BadDestination {
        /// Why.
        message: String,
    },
    /// Failure: more than the store takes, with the names rewritten.
    #[error("{what} has {bytes} bytes; the store takes {limit}")]
    TooLarge {
        /// The value, the metadata, or the saved former record.
        what: String,
        /// Its bytes.
        bytes: usize,
        /// The most.
        limit: usize,
    },
    /// Failure: the store refused this record, alone.
    #[error("the store refused it: {message}")]
    StoreFailed {
        /// The store's words.
        message: String,
    },
    /// Failure: others wrote the record each time it was to be copied.
    #[error("others wrote it each of the {tries} times it was to be copied; run again")]
    Contended {
        /// How often.
        tries: usize,
    },
    /// Kept by a cleanup: the legacy record was written after it was copied.
    #[error("it was written after it was copied; run apply again")]
    ChangedSinceCopied,
}

fn joined(ids: &BTreeSet<String>) -> String {
    if ids.is_empty() {
        return "none".to_owned();
    }
    ids.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// A record that was not moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule's name.
    pub rule: String,
    /// Where.
    pub namespace: String,
    /// Which record: its legacy key.
    pub key: String,
    /// Why.
    pub reason: Reason,
}

impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Refusal", 5)?;
        fields.serialize_field("rule", &self.rule)?;
        fields.serialize_field("namespace", &self.namespace)?;
        fields.serialize_field("key", &self.key)?;
        fields.serialize_field("reason", &self.reason)?;
        fields.serialize_field("message", &self.reason.to_string())?;
        fields.end()
    }
}
