//! What stands before the first migration.

/// Makes the roles `arrakis_app` and `arrakis_admin` and lets the owner of the current database migrate.
///
/// Run by a superuser in the database that the ledger will live in, once its owner is set.
///
/// # Idempotence
/// Running it again, or from several sessions at once, changes nothing.
pub const BASE_ROLES: &str = include_str!("../base/roles.sql");

/// The application's own tables `communities` and `profiles`, with 20 and 500 rows whose content is always the same.
///
/// Run by the role that will migrate. Needs [`BASE_ROLES`].
pub const BASE_APPLICATION: &str = include_str!("../base/application.sql");
