//! What there is to be moved: tables, columns, constraints and indexes of the first schema, as the catalog has them.

use serde_json::{Map, Value as Json, json};
use tidegate_store::postgres::{Session, Type};

use crate::store::{StoreError, column};

/// The tables that are moved, and `auth_users`, which both schemas share.
pub const TARGET_TABLES: [&str; 8] = [
    "auth_users",
    "platform_workspaces",
    "platform_workspace_members",
    "platform_permissions",
    "platform_managed_users",
    "platform_books",
    "platform_book_snapshots",
    "platform_audit_events",
];

/// Which table becomes which.
pub const MAPPING: [(&str, &str); 7] = [
    ("platform_workspaces", "accounts"),
    ("platform_workspace_members", "account_members"),
    ("platform_permissions", "account_permissions"),
    ("platform_managed_users", "identities"),
    ("platform_books", "pixbooks"),
    ("platform_book_snapshots", "pixbook_snapshots"),
    ("platform_audit_events", "audit_events"),
];

/// Describes the source as one report. `ok` says whether every table is there.
///
/// # Errors
/// The database's.
pub async fn recon(session: &Session) -> Result<Json, StoreError> {
    let schemas = by_table(session, include_str!("recon/columns.sql")).await?;
    let constraints = by_table(session, include_str!("recon/constraints.sql")).await?;
    let indexes = by_table(session, include_str!("recon/indexes.sql")).await?;
    let missing: Vec<&str> =
        TARGET_TABLES.iter().copied().filter(|table| !schemas.contains_key(*table)).collect();
    let id_type = schemas
        .get("auth_users")
        .and_then(Json::as_array)
        .and_then(|columns| columns.iter().find(|column| column["column_name"] == "id"))
        .and_then(|column| column["data_type"].as_str())
        .unwrap_or("unknown");
    let rows = session.query(include_str!("recon/auth_tables.sql"), &[]).await?;
    let auth: Vec<String> = rows.iter().map(|row| column(row, 0)).collect::<Result<_, _>>()?;
    let mapping: Map<String, Json> =
        MAPPING.iter().map(|(old, new)| ((*old).to_owned(), json!(new))).collect();
    Ok(json!({
        "ok": missing.is_empty(),
        "generatedAt": format!("{:.3}", jiff::Timestamp::now()),
        "authUserIdType": id_type,
        "discoveredBetterAuthTables": auth,
        "targetTables": TARGET_TABLES,
        "missingTables": missing,
        "schemas": schemas,
        "constraints": constraints,
        "indexes": indexes,
        "mapping": mapping,
    }))
}

/// What a query says of each table, which is its first column and a JSON array its second.
async fn by_table(session: &Session, sql: &str) -> Result<Map<String, Json>, StoreError> {
    let tables = TARGET_TABLES.as_slice();
    let rows = session.query(sql, &[(&tables, Type::TEXT_ARRAY)]).await?;
    rows.iter().map(|row| Ok((column(row, 0)?, column(row, 1)?))).collect()
}
