//! Accounts of the first schema that nobody owns in truth: for demonstrations and tests.
//!
//! Row *i* is always the same, so that a second run with more rows adds only what is missing. Among the ordinary there
//! are members of other accounts, grants and revocations by hand, roles of other names, members and people who are
//! deleted, books in several collections, and books that were saved several times.

use tidegate_store::postgres::{Session, Type};

use crate::store::StoreError;

/// Accounts that can be asked for.
pub const ROWS_MAX: i32 = 10_000_000;

/// The statements, parents before children. Each takes the number of accounts.
const STATEMENTS: [(&str, &str); 8] = [
    ("auth_users", include_str!("seed/users.sql")),
    ("platform_workspaces", include_str!("seed/workspaces.sql")),
    ("platform_workspace_members", include_str!("seed/members.sql")),
    ("platform_permissions", include_str!("seed/permissions.sql")),
    ("platform_managed_users", include_str!("seed/managed_users.sql")),
    ("platform_books", include_str!("seed/books.sql")),
    ("platform_book_snapshots", include_str!("seed/snapshots.sql")),
    ("platform_audit_events", include_str!("seed/audit_events.sql")),
];

/// Rows that a seed added to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeded {
    /// The table.
    pub table: &'static str,
    /// The rows.
    pub rows: u64,
}

/// Fills the first schema with `rows` accounts, within the caller's transaction if one is open.
///
/// # Errors
/// The database's.
pub async fn seed(session: &Session, rows: i32) -> Result<Vec<Seeded>, StoreError> {
    let rows = rows.clamp(0, ROWS_MAX);
    let mut seeded = Vec::new();
    for (table, sql) in STATEMENTS {
        let added = session.execute(sql, &[(&rows, Type::INT4)]).await?;
        seeded.push(Seeded { table, rows: added });
    }
    Ok(seeded)
}

/// Lets every seeded user sign in as `user<i>@example.org`, with one password for all of them.
///
/// # Errors
/// The database's.
pub async fn seed_credentials(session: &Session, rows: i32, password_hash: &str) -> Result<u64, StoreError> {
    let sql = include_str!("seed/credentials.sql");
    Ok(session.execute(sql, &[(&rows, Type::INT4), (&password_hash, Type::TEXT)]).await?)
}
