//! The lines of a snapshot's file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What the first line's `format` says.
pub(super) const FORMAT: &str = "tidegate-kv-snapshot";
/// The form that this module writes and reads.
pub(super) const VERSION: u32 = 1;
/// How a manifest's line begins; no entry's does.
pub(super) const MANIFEST_START: &[u8] = b"{\"counts\":";
/// Most bytes of a line: the largest value in base64, with the longest key and metadata beside it.
pub(super) const LINE_MAX_BYTES: u64 = 36 * 1024 * 1024;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct HeaderLine {
    pub(super) format: String,
    pub(super) version: u32,
    /// RFC 3339, UTC.
    pub(super) taken_at: String,
    pub(super) store: String,
    /// Sorted, each once.
    pub(super) namespaces: Vec<String>,
    pub(super) prefix: String,
    pub(super) reserved_prefix: String,
}

/// An entry's line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EntryLine {
    pub(super) namespace: String,
    pub(super) key: String,
    /// In base64, with padding.
    pub(super) value: String,
    /// The JSON text, as text.
    pub(super) metadata: Option<String>,
    /// A second of Unix time.
    pub(super) expires_at: Option<i64>,
}

/// The last line. `counts` stays its first field: [`MANIFEST_START`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ManifestLine {
    pub(super) counts: BTreeMap<String, u64>,
    pub(super) consistent: bool,
    pub(super) sha256: String,
}

/// A finished hash in lower-case hexadecimal.
pub(super) fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
