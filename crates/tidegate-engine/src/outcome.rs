//! What a completed step did and kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_runbook::Name;

use crate::digest::Digest;

/// Most rows kept of one step.
pub(crate) const ROWS_KEPT_MAX: usize = 10_000;

/// What a completed step did and kept. Rows are not in it: they are evidence, named by digest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// One sentence for a person.
    pub summary: String,
    /// The step's effect was there before it ran (`@unless`, or a version already applied).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub already: bool,
    /// Milliseconds that the attempt took.
    pub took_ms: u64,
    /// Values kept for later steps, in order of columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<KeptColumn>,
    /// Rows kept for later steps or as evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<KeptRows>,
    /// Counts with their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, u64>,
    /// Texts with their names, such as a backup's file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<String, String>,
    /// Objects that the step made, by catalog.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<MadeObject>,
    /// The transaction that carried the effect, as `xid8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<u64>,
    /// Every transaction with a lower `xid8` had ended when the step's own was about to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_below: Option<u64>,
    /// Checks that were evaluated in the gate and held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Name>,
    /// Notices that the server sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

/// One kept value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptColumn {
    /// The column or `@value` name.
    pub name: String,
    /// The PostgreSQL type, as `format_type` prints it.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The type's text output; `None` is NULL.
    pub text: Option<String>,
}

/// Rows kept as evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptRows {
    /// How many.
    pub count: u64,
    /// Digest of the stored JSON.
    pub digest: Digest,
}

/// An object that a step made, as the catalog names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeObject {
    /// The catalog, such as `pg_class`.
    pub catalog: String,
    /// Its row.
    pub oid: u32,
    /// The column's number in its table, or 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sub: i32,
    /// `table`, `function`, `schema`, … as `pg_identify_object` says.
    pub kind: String,
    /// The identity as `pg_identify_object` says.
    pub identity: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(sub: &i32) -> bool {
    *sub == 0
}
