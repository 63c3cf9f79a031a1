//! The migrations and the schema that they make.

use std::path::Path;

/// One file of `migrations/`, and its way back where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// The file's base name, which begins with the version.
    pub name: &'static str,
    /// Its SQL, for one transaction.
    pub sql: &'static str,
    /// The SQL that takes it back, for one transaction. `None`: what stood before this migration is not ours to undo.
    pub undo: Option<&'static str>,
}

/// A file that stands from the beginning.
macro_rules! legacy {
    ($name:literal) => {
        Migration { name: $name, sql: include_str!(concat!("../migrations/", $name)), undo: None }
    };
}

/// A file that can be taken back.
macro_rules! migration {
    ($directory:literal, $name:literal) => {
        Migration {
            name: $name,
            sql: include_str!(concat!("../migrations/", $directory, $name)),
            undo: Some(include_str!(concat!("../migrations/undo/", $name))),
        }
    };
}

/// Every migration that is applied in its turn, in order.
pub const MIGRATIONS: &[Migration] = &[
    legacy!("0000_auth_sessions.sql"),
    legacy!("0001_platform_workspaces.sql"),
    legacy!("0002_snapshot_payload.sql"),
    legacy!("0003_managed_user_identity.sql"),
    legacy!("0004_platform_books_collection.sql"),
    migration!("", "0005_accounts_v2_schema.sql"),
    migration!("", "0006_account_permissions.sql"),
    migration!("", "0007_account_alias_uses.sql"),
    migration!("", "0008_account_verifications.sql"),
];

/// The archive of the first schema, which nothing applies by itself.
pub const ARCHIVE: Migration = migration!("manual/", "0009_legacy_archive_platform_tables.sql");

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
