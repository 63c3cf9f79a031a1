//! Which tables a query reads, by the server's own plan for it.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use tidegate_runbook::ObjectName;
use tidegate_store::postgres::{Failure, Session, quote_identifier};
use tokio_postgres::types::Type;

/// The server's plan for a query.
#[derive(Debug)]
pub(crate) struct QueryPlan(Json);

impl QueryPlan {
    /// Asks for the plan of `query`. What the query needs must be set already.
    ///
    /// # Errors
    /// [`Failure`] if the server refused or did not answer.
    pub(crate) async fn of(session: &Session, query: &str) -> Result<Self, Failure> {
        let answers = session.run(&format!("EXPLAIN (VERBOSE, FORMAT JSON) {query}")).await?;
        let lines = answers.iter().flat_map(|answer| &answer.rows).flat_map(|row| row.iter().flatten());
        let text: String = lines.map(String::as_str).collect();
        Ok(Self(serde_json::from_str(&text).unwrap_or(Json::Null)))
    }

    /// The tables that it reads, quoted and with their schemas; those of the system's catalogs left out.
    pub(crate) fn tables(&self) -> BTreeSet<String> {
        let mut tables = BTreeSet::new();
        collect(&self.0, &mut tables);
        tables
    }

    /// The table that it writes, quoted and with its schema.
    pub(crate) fn written(&self) -> Option<String> {
        let plan = self.0.get(0)?.get("Plan")?;
        (plan.get("Node Type")?.as_str()? == "ModifyTable").then(|| table_of(plan))?
    }

    /// The one table that it scans, without any join, grouping or function between, and the columns that come out, as the
    /// plan writes them; `None` if it is anything else.
    pub(crate) fn plain_scan(&self) -> Option<(String, Vec<String>)> {
        let mut node = self.0.get(0)?.get("Plan")?;
        while node.get("Node Type")?.as_str()? == "Gather" {
            node = node.get("Plans")?.get(0)?;
        }
        let plain = matches!(node.get("Node Type")?.as_str()?, "Seq Scan" | "Index Scan" | "Index Only Scan");
        if !plain || node.get("Plans").is_some() {
            return None;
        }
        let output = node.get("Output")?.as_array()?.iter();
        let columns = output.filter_map(|column| column.as_str().map(str::to_owned)).collect();
        Some((table_of(node)?, columns))
    }
}

/// The table of that name, quoted and with its schema; `None` if it is no table, or not there.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub(crate) async fn qualified(session: &Session, name: &ObjectName) -> Result<Option<String>, Failure> {
    let written = match &name.schema {
        Some(schema) => format!("{}.{}", quote_identifier(schema), quote_identifier(&name.name)),
        None => quote_identifier(&name.name),
    };
    table(session, &written).await
}

/// The table that a text names, quoted and with its schema; `None` if it is no table, or not there.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer, or the text is no name.
pub(crate) async fn table(session: &Session, written: &str) -> Result<Option<String>, Failure> {
    let rows = session.query(include_str!("reads/table.sql"), &[(&written, Type::TEXT)]).await?;
    Ok(rows.first().map(|row| {
        let (schema, name): (String, String) = (row.get(0), row.get(1));
        format!("{}.{}", quote_identifier(&schema), quote_identifier(&name))
    }))
}

fn collect(plan: &Json, into: &mut BTreeSet<String>) {
    match plan {
        Json::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Json::Object(map) => {
            into.extend(table_of(plan));
            map.values().for_each(|value| collect(value, into));
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn table_of(node: &Json) -> Option<String> {
    let (schema, name) = (node.get("Schema")?.as_str()?, node.get("Relation Name")?.as_str()?);
    (schema != "pg_catalog").then(|| format!("{}.{}", quote_identifier(schema), quote_identifier(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> QueryPlan {
        QueryPlan(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_scan_under_a_gather_is_plain_and_a_join_is_not() {
        let scan = r#"{"Node Type": "Seq Scan", "Schema": "public", "Relation Name": "T", "Output": ["id"]}"#;
        let gather = plan(&format!(r#"[{{"Plan": {{"Node Type": "Gather", "Plans": [{scan}]}}}}]"#));
        assert_eq!(gather.plain_scan(), Some(("\"public\".\"T\"".to_owned(), vec!["id".to_owned()])));
        let join = plan(&format!(r#"[{{"Plan": {{"Node Type": "Hash Join", "Plans": [{scan}, {scan}]}}}}]"#));
        assert_eq!(join.plain_scan(), None);
        assert_eq!(join.tables().len(), 1);
    }
}
