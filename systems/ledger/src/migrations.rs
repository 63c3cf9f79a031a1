//! The migrations and the schema that they make.

/// A file of `migrations/`: its base name and its text.
macro_rules! migration {
    ($name:literal) => {
        ($name, include_str!(concat!("../migrations/", $name)))
    };
}

/// Every migration in order: the file's base name, which begins with the version, and its SQL.
///
/// Each is meant for one transaction and contains no transaction control. Needs [`crate::BASE_ROLES`].
pub const MIGRATIONS: &[(&str, &str)] = &[
    migration!("0008_tenant_context_guard.sql"),
    migration!("0009_credit_lots_lot_entries.sql"),
    migration!("0010_webhook_events_crypto_payments.sql"),
    migration!("0011_usage_events_pg.sql"),
    migration!("0012_lot_tenant_keys.sql"),
    migration!("0013_lot_totals.sql"),
    migration!("0014_truncate_guards.sql"),
    migration!("0015_lot_status_rows.sql"),
    migration!("0016_system_role.sql"),
    migration!("0017_cursor_fence.sql"),
    migration!("0018_operations.sql"),
    migration!("0019_bounds.sql"),
];

/// The schema after the last migration, as `pg_dump` writes it, without comments and most settings.
///
/// Generated; a test compares it with what [`MIGRATIONS`] make.
pub const SCHEMA: &str = include_str!("../schema.sql");
