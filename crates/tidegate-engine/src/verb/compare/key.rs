//! Whether the key of a comparison tells rows apart.

use tidegate_store::postgres::Session;
use tokio_postgres::types::Type;

use crate::error::StepError;
use crate::reads::QueryPlan;
use crate::verb::compare::query::SideQuery;

/// Keys shown of those that are not unique.
const KEYS_SHOWN: usize = 3;

/// Refuses a side in which a key stands twice, or is NULL. A unique index that covers the key proves that it does not;
/// without one it is counted.
pub(super) async fn must_be_unique(
    session: &Session,
    side: &SideQuery,
    key: &[String],
) -> Result<(), StepError> {
    let columns = side.key_columns().join(", ");
    let query = format!("SELECT {columns} FROM {}", side.from);
    if let Some((table, columns)) = QueryPlan::of(session, &query).await?.plain_scan()
        && is_unique(session, &table, &columns).await?
    {
        return Ok(());
    }
    let nulls: Vec<String> = side.key_columns().iter().map(|column| format!("{column} IS NULL")).collect();
    let texts: Vec<String> =
        side.key_columns().iter().map(|column| format!("coalesce({column}::text, 'NULL')")).collect();
    let rows = session
        .run(&format!(
            "SELECT pg_catalog.concat('(', pg_catalog.concat_ws(', ', {}), ')') FROM {} GROUP BY {columns} HAVING count(*) > 1 OR {} LIMIT {KEYS_SHOWN}",
            texts.join(", "),
            side.from,
            nulls.join(" OR ")
        ))
        .await?
        .pop()
        .unwrap_or_default()
        .rows;
    if rows.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = rows.into_iter().flatten().flatten().collect();
    Err(StepError::refused(
        format!(
            "in the {} query, {} does not tell rows apart: {} stands more than once or is NULL",
            side.name,
            key.join(", "),
            shown.join(", ")
        ),
        "Name columns in `@key` that together are unique and never NULL.",
    ))
}

async fn is_unique(session: &Session, table: &str, columns: &[String]) -> Result<bool, StepError> {
    // The plan writes a column with or without its table, quoted where it must be.
    let names: Vec<String> = columns.iter().filter_map(|column| last_part(column)).collect();
    if names.len() != columns.len() {
        return Ok(false);
    }
    let rows = session
        .query(include_str!("unique.sql"), &[(&table, Type::TEXT), (&names, Type::TEXT_ARRAY)])
        .await?;
    Ok(!rows.is_empty())
}

/// `b` of `a.b` or `a."b"`; `None` for anything that is no column.
fn last_part(column: &str) -> Option<String> {
    let name = tidegate_store::postgres::parse_qualified_name(column).ok()?;
    Some(name.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_told_from_an_expression() {
        assert_eq!(last_part("t.id"), Some("id".to_owned()));
        assert_eq!(last_part("t.\"Odd\""), Some("Odd".to_owned()));
        assert_eq!(last_part("(t.id)::text"), None);
        assert_eq!(last_part("COALESCE(t.a, t.b)"), None);
    }
}
