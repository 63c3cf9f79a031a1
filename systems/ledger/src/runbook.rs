//! The runbook page and where it stands.

use std::path::{Path, PathBuf};

/// The text of `runbooks/economic-ledger.md`.
pub const RUNBOOK: &str = include_str!("../runbooks/economic-ledger.md");

/// The directory of this crate's sources, in which `migrations/` and `runbooks/` stand.
///
/// Known at compile time: for tests and demonstrations in the repository, not for an installed program.
#[must_use]
pub fn directory() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The path of the runbook page in the sources.
#[must_use]
pub fn runbook_path() -> PathBuf {
    directory().join("runbooks/economic-ledger.md")
}
