//! The migrations and the schema that they make.

use std::path::{Path, PathBuf};

/// One file of `migrations/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Its number.
    pub version: u32,
    /// The file's base name, which begins with the version.
    pub name: &'static str,
    /// Its SQL, for one transaction.
    pub sql: &'static str,
}

macro_rules! migration {
    ($version:literal, $name:literal) => {
        Migration { version: $version, name: $name, sql: include_str!(concat!("../migrations/", $name)) }
    };
}

/// Every migration, in order. The first makes what stands before the flattening; the others flatten.
pub const MIGRATIONS: &[Migration] = &[
    migration!(23, "0023_baseline.sql"),
    migration!(24, "0024_backfill_blob_stages.sql"),
    migration!(25, "0025_retire_blob_staging.sql"),
    migration!(26, "0026_retire_blob_objects.sql"),
    migration!(27, "0027_retire_access.sql"),
];

/// The tables that the flattening retires.
pub const RETIRED_TABLES: [&str; 4] = ["vfs_blob_staging", "vfs_blob_refs", "vfs_blob_objects", "vfs_access"];

/// The schema after the last of [`MIGRATIONS`], as `pg_dump` writes it, without comments and most settings.
///
/// Generated; a test compares it with what [`MIGRATIONS`] make.
pub const SCHEMA: &str = include_str!("../schema.sql");

/// The directory of this crate's sources, in which `migrations/` stands.
///
/// Known at compile time: for tests and demonstrations in the repository, not for an installed program.
#[must_use]
pub fn directory() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The page that flattens. As [`directory`].
#[must_use]
pub fn runbook_path() -> PathBuf {
    directory().join("runbooks/flatten.md")
}
