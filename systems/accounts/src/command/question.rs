//! What the commands of the second schema ask the database besides what the engine does.

use serde_json::Value as Json;
use tidegate_store::postgres::{Row, Session, ToSql, Type};

/// The tables of the first schema are where they were.
const OLD: &str = "SELECT to_regclass('public.platform_workspaces') IS NOT NULL";
/// The tables of the first schema were put away.
const ARCHIVED: &str = "SELECT to_regclass('legacy.platform_workspaces_legacy') IS NOT NULL";
/// The flags are in the database.
const FLAGS: &str = "SELECT to_regclass('tidegate.flag_set') IS NOT NULL";

/// The one JSON value of a query.
pub(super) async fn json(
    session: &Session,
    sql: &str,
    parameters: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Json, String> {
    let rows = session.query(sql, parameters).await.map_err(|failure| failure.to_string())?;
    rows.first().map_or(Ok(Json::Null), |row| read(row, 0))
}

/// Why there is nothing to compare or copy; `None`: there is.
pub(super) async fn nothing_to_move(session: &Session) -> Result<Option<&'static str>, String> {
    if truth(session, OLD).await? {
        return Ok(None);
    }
    Ok(Some(if truth(session, ARCHIVED).await? {
        "archived: the platform_* tables are in schema legacy, and the second schema stands alone"
    } else {
        "there are no platform_* tables"
    }))
}

/// The row of the set `accounts` and its epoch; `None`: the flags are not in the database.
pub(super) async fn flags(session: &Session) -> Result<Option<(String, i64)>, String> {
    if !truth(session, FLAGS).await? {
        return Ok(None);
    }
    let sql = "SELECT row_name, epoch FROM tidegate.flag_set WHERE name = 'accounts'";
    let rows = session.query(sql, &[]).await.map_err(|failure| failure.to_string())?;
    rows.first().map(|row| Ok((read(row, 0)?, read(row, 1)?))).transpose()
}

async fn truth(session: &Session, sql: &str) -> Result<bool, String> {
    let rows = session.query(sql, &[]).await.map_err(|failure| failure.to_string())?;
    rows.first().map_or(Ok(false), |row| read(row, 0))
}

fn read<'a, T: tidegate_store::postgres::FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, String> {
    row.try_get(at).map_err(|error| error.to_string())
}
