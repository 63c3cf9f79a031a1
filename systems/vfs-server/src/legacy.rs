//! What stood before the flattening: data to try it on, and what a person decides about it. The only code that names
//! the tables that are retired.

use tidegate_store::postgres::{Failure, Session, Type};

/// Items that can be asked for.
pub const ROWS_MAX: u32 = 1_000_000;

/// What kind of data is made.
#[derive(Debug, Clone)]
pub struct LegacyData {
    /// Items, and about as many blobs, stages and attachments; at most [`ROWS_MAX`].
    pub rows: u32,
    /// Everything but times follows from it.
    pub seed: u64,
    /// Prefix of the keys in the object store, without a slash at its end; may be empty.
    pub prefix: String,
    /// Whether some blobs are attached to one item as several kinds, which a person must choose from.
    pub several_kinds: bool,
}

/// Fills a database of version 23 that has no rows yet, within the caller's transaction.
///
/// # Errors
/// The database's.
pub async fn seed(session: &Session, data: &LegacyData) -> Result<(), Failure> {
    let settings = [
        ("vfs.legacy_rows", data.rows.min(ROWS_MAX).to_string()),
        ("vfs.legacy_seed", i64::from_ne_bytes(data.seed.to_ne_bytes()).to_string()),
        ("vfs.legacy_prefix", data.prefix.clone()),
        ("vfs.legacy_kinds", if data.several_kinds { "on" } else { "off" }.to_owned()),
    ];
    for (name, value) in &settings {
        let sql = "SELECT set_config($1, $2, true)";
        session.query(sql, &[(name, Type::TEXT), (value, Type::TEXT)]).await?;
    }
    session.run(include_str!("legacy/seed.sql")).await?;
    Ok(())
}

/// Which kind stays where a blob was attached to one item as several.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The blob.
    pub blob: String,
    /// The item.
    pub item: String,
    /// The kind that stays.
    pub kind: String,
    /// The person who chose.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// Notes a choice, in place of an earlier one. Returns whether the blob is attached to the item as that kind.
///
/// # Errors
/// The database's.
pub async fn choose(session: &Session, choice: &Choice) -> Result<bool, Failure> {
    let Choice { blob, item, kind, actor, reason } = choice;
    let sql = include_str!("legacy/choose.sql");
    let parameters = [
        (blob, Type::TEXT),
        (item, Type::TEXT),
        (kind, Type::TEXT),
        (actor, Type::TEXT),
        (reason, Type::TEXT),
    ];
    let parameters: Vec<_> = parameters
        .iter()
        .map(|(value, kind)| (*value as &(dyn tidegate_store::postgres::ToSql + Sync), kind.clone()))
        .collect();
    Ok(session.execute(sql, &parameters).await? > 0)
}
